"""How sure a market measure is: the columns `low`, `high`, `standard_error` and ranks beside an estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm, rankdata

from guanlan.market_sample import Options
from systemic.bootstrap import centred_bounds, rank_range
from systemic.market.resampled import bounds, draw_rows, replicate

if TYPE_CHECKING:
    from systemic.arrays import Indices, Matrix, Vector

Cells = dict[str, str | float | int | None]


@dataclass(frozen=True, slots=True)
class Sure:
    """Bounds and standard error of each estimate (k,), and the range of its rank where there are several."""

    low: Vector
    high: Vector
    error: Vector
    ranks: tuple[Vector, Vector, Vector] | None = None

    def cells(self, i: int) -> Cells:
        """Return the columns of estimate i."""
        found: Cells = {"low": self.low[i], "high": self.high[i], "standard_error": self.error[i]}
        if self.ranks is not None:
            ranks = (_whole(float(column[i])) for column in self.ranks)
            found |= dict(zip(("rank", "rank_low", "rank_high"), ranks, strict=True))
        return found


def _whole(rank: float) -> float | int:
    return int(rank) if rank.is_integer() else rank


def cells(sure: Sure | None, i: int) -> Cells:
    """Return the columns of estimate i; none where no interval was asked for."""
    return {} if sure is None else sure.cells(i)


def draws_of(rows: Matrix, options: Options) -> Indices:
    """Return the resamples of the rows that the options ask for, (R, T)."""
    return draw_rows(rows, options.replications, options.seed, options.block)


def resampled(statistic: Callable[[Matrix], Vector | float], rows: Matrix, options: Options) -> Matrix | None:
    """Return the replicates (R, k) of a statistic of the rows; None where no interval was asked for."""
    return None if options.confidence is None else replicate(statistic, rows, draws_of(rows, options))


def by_replicates(
    estimate: Vector, replicates: Matrix | None, options: Options, *, riskier: float = 1.0, ranked: bool = True
) -> Sure | None:
    """Bound by percentiles of the replicates; `riskier` is −1 where a lower value is."""
    if replicates is None or options.confidence is None:
        return None
    return _sure(estimate, replicates, bounds(replicates, options.confidence), options.confidence, riskier, ranked)


def about_the_estimate(
    estimate: Vector,
    replicates: Matrix | None,
    options: Options,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    ranked: bool = True,
) -> Sure | None:
    """Bound by the scatter of replicates that resampling shifts, put about the estimate."""
    if replicates is None or options.confidence is None:
        return None
    ends = centred_bounds(estimate, replicates, options.confidence, low, high)
    return _sure(estimate, replicates, ends, options.confidence, 1.0, ranked)


def by_error(estimate: Vector, error: Vector, options: Options) -> Sure | None:
    """Bound by a standard error as if normal; ranks, of which the lowest value is the first, by drawing from it."""
    if options.confidence is None:
        return None
    reach = float(norm.ppf((1 + options.confidence) / 2)) * error
    drawn = np.random.default_rng(options.seed).standard_normal((options.replications, len(estimate)))
    ends = (estimate - reach, estimate + reach)
    found = _sure(estimate, estimate + drawn * error, ends, options.confidence, -1.0, True)
    return Sure(found.low, found.high, error, found.ranks)


def _sure(
    estimate: Vector,
    replicates: Matrix,
    ends: tuple[Vector, Vector],
    confidence: float,
    riskier: float,
    ranked: bool,
) -> Sure:
    error = np.full(len(estimate), np.nan)
    usable = np.isfinite(replicates).sum(axis=0) * 2 >= len(replicates)
    if usable.any():
        error[usable] = np.nanstd(replicates[:, usable], axis=0, ddof=1)
    known = np.isfinite(estimate) & usable
    if not ranked:
        return Sure(*ends, error)
    ranks = np.full((3, len(estimate)), np.nan)
    if known.any():
        ranks[0, known] = rankdata(-riskier * estimate[known])
        ranks[1:, known] = rank_range(riskier * replicates[:, known], confidence)
    return Sure(*ends, error, (ranks[0], ranks[1], ranks[2]))
