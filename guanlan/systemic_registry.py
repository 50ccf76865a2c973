"""`guanlan systemic measures` and `concordance`: which measures there are, and how far they rank alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rules.problems import InputError, nearest

if TYPE_CHECKING:
    from guanlan.market_tables import Row
    from systemic.registry import Measure

Output = Annotated[Literal["csv", "jsonl"], typer.Option("--format", help="csv or jsonl.")]
Out = Annotated[Path | None, typer.Option(help="Write there instead of to standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `guanlan systemic`."""
    app.command("measures")(measures)
    app.command("concordance")(concordance)


def measures(
    name: Annotated[list[str] | None, typer.Argument(help="Names; by default all.")] = None,
    language: Annotated[str, typer.Option(help="Language of titles: en or zh.")] = "en",
    output: Output = "csv",
    out: Out = None,
) -> None:
    """The registry: each measure with its level, unit, sign, inputs, assumptions, cost and reference."""
    from guanlan.market_tables import write_rows
    from systemic.registry import load_measures

    known = load_measures()
    for wanted in name or ():
        if wanted not in known:
            raise InputError(f"there is no measure {wanted!r}. {nearest(wanted, known)}".strip())
    write_rows((_row(known[wanted], language) for wanted in name or known), output, out)


def _row(found: Measure, language: str) -> Row:
    return {
        "measure": found.name,
        "title": found.title.get(language, found.title["en"]),
        "level": found.level,
        "unit": found.unit,
        "sign": found.sign,
        "inputs": " ".join(found.inputs),
        "optional": " ".join(found.optional),
        "what": found.summary,
        "assumptions": "; ".join(found.assumptions),
        "cost": found.complexity,
        "reference": found.reference,
        "function": f"{found.function.__module__}.{found.function.__qualname__}",
    }


def concordance(
    scores: Annotated[
        list[str], typer.Argument(help="FILE.csv:COLUMN of two or more measures; FILE.csv:-COLUMN if low is risky.")
    ],
    key: Annotated[str, typer.Option(help="Column that names who is ranked.")] = "institution",
    output: Output = "csv",
    out: Out = None,
) -> None:
    """Kendall's W: how far several measures rank the same institutions alike, 1 entirely, 0 not at all.

    Files are what the other commands print. Of several rows of an institution the last counts. Institutions
    that some measure does not know are left out. The p-value is of chance: χ² = measures · (n − 1) · W with
    n − 1 degrees (Kendall & Babington Smith 1939), to be trusted from about eight institutions on.
    """
    import numpy as np
    from scipy.stats import chi2

    from guanlan import score_tables
    from guanlan.market_tables import write_rows
    from systemic.bootstrap import concordance as agreement

    if len(scores) < 2:
        raise InputError("a concordance is of two measures or more: give FILE.csv:COLUMN several times")
    tables = [score_tables.read(text, key) for text in scores]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    values = np.array([[table[code] for code in shared] for table in tables]).reshape(len(tables), len(shared))
    w = agreement(values)
    if not np.isfinite(w):
        raise InputError(f"{len(shared)} institutions are known to all measures; two that they tell apart are needed")
    square = len(tables) * (len(shared) - 1) * w
    row: Row = {
        "measures": len(tables),
        "institutions": len(shared),
        "w": w,
        "chi_square": square,
        "p_value": float(chi2.sf(square, len(shared) - 1)),
    }
    write_rows([row], output, out)
