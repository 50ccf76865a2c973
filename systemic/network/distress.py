"""Write-downs of claims on the weakened, together with claims that default leaves unpaid."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from systemic.arrays import Mask, Sparse, Vector
from systemic.network.linear import solve

SWEEPS = 64
JUMPS = 64
EXACT = 1e-13


def distress(exposures: Sparse, equity: ArrayLike, losses: ArrayLike, unpaid: ArrayLike, share: float) -> Vector:
    """Return the least x = min(1, (losses + exposures · max(0, share · x − unpaid)) / equity) (float64[n]).

    `exposures` (n × n CSR; [i, j] lent by i to j), `equity` (n) before and `losses` (n) so far, credit losses
    included but no write-downs, in one currency; `unpaid` (n): share of each one's debts inside that default leaves
    unpaid, already in `losses`; `share` of a claim is written off when its borrower has lost everything. A claim
    is worth min(1 − unpaid, 1 − share · x). x is the share of equity lost, 1 where there was none and something is
    lost. Without defaults and with share = 1 − recovery it is what `systemic.network.debtrank.linear_debtrank`
    passes on.

    Swept from below; where that is slow, the linear system of those that are neither capped nor bound by default
    is solved and the sets are looked at again, until they stay.
    """
    own, lost, gone = (np.asarray(v, dtype=np.float64) for v in (equity, losses, unpaid))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(own > 0.0, 1.0 / own, 0.0)
    bare = own <= 0.0
    flow: Sparse = sparse.csr_array(sparse.diags_array(scale) @ exposures)
    base = np.maximum(lost, 0.0) * scale

    def after(x: Vector) -> Vector:
        extra = np.maximum(share * x - gone, 0.0)
        out = np.minimum(1.0, base + flow @ extra)
        hit = bare & ((lost + exposures @ extra > 0.0) | (own < 0.0))
        return np.where(bare, hit.astype(np.float64), out)

    x = after(np.zeros(own.size))
    for _ in range(JUMPS):
        for _ in range(SWEEPS):
            new = after(x)
            if np.abs(new - x).max(initial=0.0) <= EXACT:
                return new
            x = new
        jumped = _jump(flow, base, gone, share, x, bare)
        if (jumped >= x - EXACT).all() and np.abs(after(jumped) - jumped).max() <= EXACT:
            return jumped
    return x


def _jump(flow: Sparse, base: Vector, gone: Vector, share: float, x: Vector, bare: Mask) -> Vector:
    """Solve for those whose x is neither capped nor fixed, with write-downs that bind as they do at `x`."""
    binds = share * x > gone
    rate = base + flow @ np.where(binds, share * x - gone, 0.0)
    fixed = bare | (rate >= 1.0)
    for _ in range(SWEEPS):
        held = np.where(fixed, np.where(bare, x, 1.0), 0.0)
        free = np.flatnonzero(~fixed)
        rows = flow[free]
        known = base[free] + rows @ np.where(binds, share * held - gone, 0.0)
        inner = rows[:, free] @ sparse.diags_array(np.where(binds[free], share, 0.0))
        found = held.copy()
        found[free] = solve(sparse.csr_array(inner), known)
        over = np.zeros_like(fixed)
        over[free] = found[free] > 1.0
        if not over.any() and (found >= 0.0).all():
            return found
        fixed = fixed | over
    return x
