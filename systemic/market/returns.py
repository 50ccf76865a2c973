"""Returns from prices, windows over them, and what the market measures read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Mask, Matrix
from systemic.registry import declare

ReturnKind = Literal["log", "simple"]

declare("states", ("time", "state"), "ratio", "state variables on the same dates; a row conditions the next one")
declare("equity_value", ("institution",), "currency", "market value of the equity")
declare("debt", ("institution",), "currency", "book value of the liabilities")


def price_returns(prices: ArrayLike, kind: ReturnKind = "log") -> Matrix:
    """Return one-period returns; a price that is missing or not positive gives no return.

    `prices` is (T,) or (T, n) in any currency; the result has T − 1 rows, in fractions. A delisted share is
    often carried on as 0: the step to zero is a convention of the data vendor and not a return anybody
    could trade at, so it is missing here (NaN) like every step from or to an unknown price.

    >>> price_returns([100.0, 110.0, 0.0, 0.0], "simple").round(6).tolist()
    [0.1, nan, nan]
    """
    known = np.asarray(prices, dtype=np.float64)
    known = np.where(known > 0, known, np.nan)
    if kind == "log":
        return np.diff(np.log(known), axis=0)
    if kind == "simple":
        return known[1:] / known[:-1] - 1
    raise ValueError(f"returns are 'log' or 'simple', not {kind!r}")


def windows(length: int, width: int, step: int = 1) -> Iterator[slice]:
    """Yield the windows of `width` rows that end at the last row and every `step` rows before it, oldest first.

    No window is shorter than `width`: a series that is too short yields nothing.

    >>> [(w.start, w.stop) for w in windows(10, 4, step=3)]
    [(0, 4), (3, 7), (6, 10)]
    """
    if width < 1 or step < 1:
        raise ValueError(f"a window needs at least one row and a step of at least one, got {width} and {step}")
    for end in range(width + (length - width) % step, length + 1, step):
        yield slice(end - width, end)


def complete_rows(*series: Matrix) -> Mask:
    """Return which rows are finite in every one of the series, each (T,) or (T, n); True where n is 0."""
    known = np.ones(len(series[0]), dtype=np.bool_)
    for each in series:
        known &= np.isfinite(each if each.ndim > 1 else each[:, None]).all(axis=1)
    return known
