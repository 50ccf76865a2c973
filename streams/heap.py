"""Python's garbage collector in a worker: batches make many objects and few cycles, so it looks seldom.

Collecting by default costs a quarter of the speed, and looking through programs and state that stay takes longest.
"""

from __future__ import annotations

import gc

COLLECT_AFTER = (10_000, 100, 50)


def collect_seldom() -> None:
    """Let the collector look after many objects only."""
    gc.set_threshold(*COLLECT_AFTER)


def settle() -> None:
    """Keep everything that lives now out of the collector's sight; what was kept before and is garbage now goes.

    Call it after state or rules were replaced. Frozen objects are never collected, so each call begins anew: what a
    rebalance or a release leaves behind would stay for good otherwise. It takes some tens of milliseconds.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
