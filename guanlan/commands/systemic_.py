"""`guanlan systemic`: systemic-risk measures from files, CSV in and CSV or JSON Lines out."""

from __future__ import annotations

import typer

from guanlan import systemic_io, systemic_market_io, systemic_registry, systemic_whatif

app = typer.Typer(help="Systemic-risk measures from files: CSV in, CSV or JSON Lines out.", no_args_is_help=True)

systemic_io.register(app)
systemic_market_io.register(app)
systemic_whatif.register(app)
systemic_registry.register(app)
