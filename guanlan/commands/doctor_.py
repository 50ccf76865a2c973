"""`guanlan doctor`: what is installed, what answers, what is wrong, and how to mend it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guanlan.doctor import Finding

STYLES = {"ok": "green", "absent": "yellow", "wrong": "bold red"}


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON object.")] = False,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
) -> None:
    """Say what is installed, reachable and wrong, with the fix; exit 1 when something needed to run is wrong."""
    from guanlan.doctor import examine

    findings = examine(bootstrap=bootstrap)
    if as_json:
        _print_json(findings)
    else:
        _print_table(findings)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _print_json(findings: Sequence[Finding]) -> None:
    import json
    from dataclasses import asdict

    ok = all(finding.state != "wrong" for finding in findings)
    typer.echo(json.dumps({"ok": ok, "findings": [asdict(f) for f in findings]}, ensure_ascii=False, indent=2))


def _print_table(findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table("what", "state", "found", box=None, pad_edge=False)
    for finding in findings:
        found = Text(finding.detail, overflow="fold")
        if finding.fix:
            found.append(f"\n→ {finding.fix}", style="bold")
        shown.add_row(Text(finding.name), Text(finding.state, style=STYLES[finding.state]), found)
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    console.print(shown)
    wrong = sum(finding.state == "wrong" for finding in findings)
    verdict = f"{wrong} wrong" if wrong else "nothing that is needed to run is wrong"
    console.print(Text(verdict, style=STYLES["wrong" if wrong else "ok"]))
