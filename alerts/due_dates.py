"""Until when to act on an alert, counted again where working days were not announced yet when it was told."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import replace

from rules.calendar import act_by, act_is_provisional, parse_instant
from rules.reading import parse_deadline
from rules.transitions import Transition

log = logging.getLogger("guanlan.desk")

Recount = Callable[[Transition], Transition]


def as_told(event: Transition) -> Transition:
    """Return the event as it is."""
    return event


class DueDates:
    """Counts provisional due dates again, by the working days of a country as they are known now.

    Days are those of the time zone. `on_moved` is called for each event whose date is another now.
    """

    def __init__(self, country: str, zone: str, on_moved: Callable[[], None] = lambda: None) -> None:
        self._country = country
        self._zone = zone
        self._on_moved = on_moved

    def __call__(self, event: Transition) -> Transition:
        """Return the event with its due date as it is now; one that was certain stays."""
        deadline = parse_deadline(event.deadline)
        if not event.due_provisional or deadline is None:
            return event
        counted = (deadline, parse_instant(event.seen_at), self._country, self._zone)
        due = act_by(*counted)
        if due != event.due:
            who = f"{event.rule} of {event.subject}"
            log.warning("working days were announced: %s is due %s, not %s", who, due, event.due)
            self._on_moved()
        return replace(event, due=due, due_provisional=act_is_provisional(*counted))
