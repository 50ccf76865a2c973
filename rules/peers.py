"""Who is compared with whom, and how much of a group must have filed before its value is known.

Peer groups are made as in the UBPR of the FFIEC: a bank that was opened in the last five years is compared with
those of the same year, whatever its peer group would be (FFIEC, memorandum to UBPR users of 18 November 2003, which
brought in the groups "class of"; the list of groups for the end of 2025 has those of 2022 to 2026). Below ten
peers an outlier can move a value, and readers are told so (FDIC, help on the UBPR's custom peer groups).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from rules.catalogue import FREQUENCY_DAYS
from rules.context import DAY, Context, World
from rules.obligations import obliged
from rules.plan import Node, walk
from rules.store import NEVER, Bools, Floats, Ints

FEW_PEERS = 10
NEW_YEARS = 5
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of whom a value is made: institutions expected to report, those that have, and how many have a value.

    `share` is what has filed of what is expected: of total assets, or of the count where no size is known.
    """

    expected: int
    filed: int
    values: int
    share: float
    by: str

    def reaches(self, least: float) -> bool:
        """Whether enough has filed."""
        return self.share >= least - ROUNDING


def groups_at(world: World, members: Ints, rows: Ints, by: str, at: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the groups of members and of rows as numbers: equal ones are one group."""
    if not by:
        return np.zeros(len(members), np.int32), np.zeros(len(rows), np.int32)
    codes = world.texts[by]
    if by != "peer_group" or not world.opened.any():
        return codes[members], codes[rows]
    year = datetime.fromtimestamp(at, UTC).year
    new = (world.opened > year - NEW_YEARS) & (world.opened <= year)
    classes = np.where(new, -world.opened, codes)
    return classes[members], classes[rows]


def reporting(node: Node, everyone: Context) -> tuple[Bools, Bools]:
    """Who is expected to report the forms that the node reads, and who has.

    Expected are those who owe the form for the date: the types of institution that it names, and whoever has filed it
    within a period; besides, whoever filed it for that very date.
    """
    tenure = everyone.world.tenure
    expected = np.zeros(len(everyone), np.bool_)
    filed = np.ones(len(everyone), np.bool_)
    for form_id in sorted({str(n.params[0]) for n in walk(node) if n.op == "column"}):
        form = everyone.world.catalogue.forms[form_id]
        valid = int(form.validity_days * DAY)
        as_of = everyone.as_of(form_id)
        known = (as_of != NEVER) & (everyone.at - as_of <= valid + int(FREQUENCY_DAYS[form.frequency] * DAY))
        known &= everyone.at < tenure.closed[everyone.rows]
        if form.types:
            known |= obliged(everyone.world, form, everyone.rows, everyone.at, everyone.at)
        now = as_of == everyone.at
        known |= now
        expected |= known
        # a form that is filed for this very date counts by that; a slower one by what is still valid
        filed &= (now if now.any() else everyone.at - as_of <= valid) | ~known
    return expected, expected & filed


def cover(everyone: Context, expected: Bools, filed: Bools, values: int) -> Coverage:
    """Say how much of those expected has filed, by size where the catalogue names it and any size is known.

    Who has no known size counts as the average of the others.
    """
    count, there = int(np.count_nonzero(expected)), int(np.count_nonzero(filed))
    sizes = _sizes(everyone)
    known = expected & (sizes > 0) if sizes is not None else None
    if sizes is None or known is None or not known.any():
        return Coverage(count, there, values, there / count if count else 0.0, "count")
    weights = np.where(known, sizes, sizes[known].mean())
    return Coverage(count, there, values, float(weights[filed].sum() / weights[expected].sum()), "assets")


def _sizes(everyone: Context) -> Floats | None:
    """The size that each member reported last, however long ago; None where the catalogue names no indicator."""
    indicator = everyone.world.catalogue.size
    if not indicator:
        return None
    form = everyone.world.catalogue.indicators[indicator].form
    store = everyone.world.stores.get(form)
    if store is None or indicator not in store.column:
        return None
    return everyone.reported(form, indicator)
