"""One module a command; `guanlan.cli` only collects them."""
