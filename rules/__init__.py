"""The rule language and engine: pure, no I/O but reading packs and catalogues."""
