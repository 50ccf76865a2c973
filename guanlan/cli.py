"""`guanlan`: collects the commands, and turns errors for people into one message and an exit code.

Exit codes: 0 done; 1 done, but something was found wrong (rejected filings, failed checks, bad packs);
2 could not start (settings, files, arguments); 3 a service did not answer; 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib import import_module

import typer
from rich.console import Console

from rules.problems import GuanlanError

COMMANDS: tuple[str, ...] = (
    "backtest",
    "demo",
    "desk",
    "doctor",
    "filings",
    "forms",
    "import",
    "institutions",
    "quotes",
    "rules",
    "submit",
    "systemic",
    "topics",
    "worker",
)

app = typer.Typer(
    name="guanlan",
    help="Supervisory stream monitoring: filings in, alerts and metrics out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _collect() -> None:
    for name in COMMANDS:
        module = import_module(f"guanlan.commands.{name}_")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(module.command)


def main() -> None:
    """Run the command line; the console script `guanlan`."""
    try:
        _collect()
        app()
    except GuanlanError as err:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"guanlan: {err}", style="red", markup=False)
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
