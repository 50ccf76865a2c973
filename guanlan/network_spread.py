"""Networks that a command measures: the one that is known, or several that have the margins, and their spread."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from guanlan.network_tables import read_network, read_sheet
from rules.problems import InputError
from systemic.bootstrap import rank_range
from systemic.network.reconstruction import max_entropy, min_density

if TYPE_CHECKING:
    from guanlan.network_tables import Sheet
    from systemic.arrays import Matrix

Cells = dict[str, str | float | int | None]


def in_words(names: Sequence[str], function: Callable[..., Any], *args: Any) -> Any:
    """Run a measure; what it finds wrong with its inputs is said as one sentence, with institutions by name."""
    try:
        return function(*args)
    except ValueError as err:
        named = re.sub(r"(institution )?at position (\d+)", lambda found: f"of {names[int(found[2])]!r}", str(err))
        raise InputError(re.sub(r"^of ", "", named)) from None


def networks(exposures: Path | None, margins: Path | None, sheet: Sheet, count: int) -> list[Any]:
    """Return the network of `exposures`, or networks that have the `margins`, in the order of the balance sheets.

    Of margins: one of maximum entropy and `count` draws of minimum density.
    """
    if (exposures is None) == (margins is None):
        raise InputError("give either --exposures (a network) or --margins (each institution's totals)")
    if exposures is not None:
        return [read_network(exposures, sheet.institutions)[1]]
    assert margins is not None
    given = read_sheet(margins)
    missing = sorted(set(given.institutions) ^ set(sheet.institutions))
    if missing:
        raise InputError(f"{margins} and the balance sheets differ in institutions: {', '.join(missing[:5])}")
    order = np.array([given.institutions.index(code) for code in sheet.institutions], dtype=np.int64)
    lent, owed = given.column("assets")[order], given.column("liabilities")[order]
    drawn = [in_words(sheet.institutions, min_density, lent, owed, seed) for seed in range(count)]
    return [in_words(sheet.institutions, max_entropy, lent, owed), *drawn]


def spread(names: Sequence[str], values: Matrix, counts: Sequence[str] = (), ranged: Sequence[str] = ()) -> Cells:
    """Return cells of the medians of `values` (networks × names), and the lowest and highest of those `ranged`.

    Of a single network there is no range. `counts` are whole numbers where the median is one.
    """
    middle = values[0] if len(values) == 1 else np.median(values, axis=0)
    cells: Cells = dict(zip(names, middle.tolist(), strict=True))
    for name in counts:
        value = float(middle[list(names).index(name)])
        cells[name] = int(value) if value.is_integer() else value
    if len(values) > 1:
        for column, name in enumerate(names):
            if name in ranged:
                cells[f"{name}_low"] = float(values[:, column].min())
                cells[f"{name}_high"] = float(values[:, column].max())
    return cells


def ranks(scores: Matrix) -> Matrix:
    """Return rank, best and worst rank of each column of `scores` (networks × n): 1 is the largest (3 × n)."""
    best, worst = rank_range(scores, 1.0)
    return np.array([rankdata(-np.median(scores, axis=0)), best, worst])
