"""`guanlan systemic whatif`: a scenario file runs through clearing, fire sales and funding, and is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rules.problems import InputError

Form = Annotated[
    Literal["table", "csv", "jsonl", "html"] | None,
    typer.Option("--format", help="By default html for an --out that ends in .html, else a table."),
]


def register(app: typer.Typer) -> None:
    """Add the command of this module to `guanlan systemic`."""
    app.command("whatif")(whatif)


def whatif(
    scenario: Annotated[Path, typer.Argument(help="YAML: the network, balance sheets, shocks and how all answer.")],
    form: Form = None,
    out: Annotated[Path | None, typer.Option(help="Write there instead of to standard output.")] = None,
    pack: Annotated[
        list[str] | None, typer.Option("--pack", help="Judge by this pack (file or name), not by the scenario's.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language of rule titles: en or zh.")] = "en",
) -> None:
    """Run a scenario until nothing changes: losses by round, defaults, ratios after, rules that would fire.

    csv is a line for each severity and institution; jsonl a line for each severity, then for each cell of the
    grid; html one page with a waterfall, the network and heat maps.
    """
    from guanlan.market_tables import write_rows
    from guanlan.reports import write
    from guanlan.whatif_files import read_scenario
    from guanlan.whatif_report import Run, as_html, as_jsonl, as_table, rows
    from guanlan.whatif_rules import fired_rules, judges
    from systemic.whatif import run

    found = read_scenario(scenario, pack or ())
    by = judges(found.rules) if found.rules else None
    runs = []
    try:
        for severity in found.severities:
            end = run(found.before, found.shock.scaled(severity), found.model)
            fired = fired_rules(by, found.names, end) if by else []
            runs.append(Run(severity, end, fired))
        shocks = found.grid.shocks if found.grid else ()
        cells = [[run(found.before, shock, found.model) for shock in row] for row in shocks]
    except ValueError as err:
        raise InputError(f"{scenario}: {err}") from None
    chosen = form or ("html" if out is not None and out.suffix == ".html" else "table")
    if chosen == "csv":
        write_rows(rows(found, runs), "csv", out)
    elif chosen == "jsonl":
        write(as_jsonl(found, runs, cells), out)
    elif chosen == "html":
        write(as_html(found, runs, language, cells), out)
    else:
        write(as_table(found, runs, cells), out)
