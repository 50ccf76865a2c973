"""Events told again are known, in bounded memory."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.desk import Desk
from alerts.seen import Seen
from rules.transitions import Transition
from tests.alerts.samples import transition

FIRST = date(2020, 1, 1)
KEPT = 4


def event(day: int, rule: str = "r", subject: str = "CN001", revision: int = 0) -> Transition:
    """Return a change of a day, seen on the next."""
    as_of, seen = FIRST + timedelta(days=day), FIRST + timedelta(days=day + 1)
    state = "resolved" if day % 2 else "firing"
    started = str(FIRST + timedelta(days=day - day % 2))
    return transition(
        state, subject, rule, started, str(as_of), f"{seen}T08:00:00Z", revision=revision
    )  # a day is an episode's start or its end


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("rst"), st.sampled_from("ABC"))))
def test_while_none_is_dropped_it_is_a_set(told: list[tuple[int, str, str]]) -> None:
    """New is what no event before had as its id."""
    seen, ids = Seen(), set[str]()
    for one in (event(*each) for each in told):
        assert seen.add(one) == (one.id not in ids)
        ids.add(one.id)
    assert len(seen) == len(ids)


@given(st.integers(1, 40), st.lists(st.integers(0, 39), max_size=60))
def test_nothing_counts_as_new_twice_and_memory_is_bounded(days: int, again: list[int]) -> None:
    """Whatever is told again, and however much of it, with far more events than are kept."""
    seen = Seen(KEPT)
    assert all(seen.add(event(day)) for day in range(days))
    assert not any(seen.add(event(day)) for day in again if day < days)
    assert len(seen) <= KEPT
    assert not any(seen.add(event(day)) for day in range(days))
    assert all(seen.add(event(day)) for day in range(days, days + KEPT))


def test_events_of_one_moment_are_told_apart_by_their_dates() -> None:
    """History loaded in one go is all seen at one time: dates go on, and nothing new is taken for old."""
    seen = Seen(KEPT)
    events = [transition("firing", as_of=str(FIRST + timedelta(days=day))) for day in range(5 * KEPT)]
    assert all(seen.add(one) for one in events)
    assert not any(seen.add(one) for one in events)


def test_an_event_is_known_under_the_new_name_of_its_rule() -> None:
    """A renamed rule's transitions keep their ids, and may be computed anew."""
    seen, one = Seen(), event(0)
    assert seen.add(one)
    assert not seen.add(transition("firing", rule="new.name", id=one.id))


def test_a_desk_is_silent_while_years_are_told_again() -> None:
    """A partition computed from its first filing tells all of its history again; then new changes are heard."""
    desk = Desk()
    history = [event(day) for day in range(3_001)]
    assert sum(desk.fold(one) is not None for one in history) == len(history)
    still_open = dict(desk.open)
    assert [one for one in history if desk.fold(one) is not None] == []
    assert desk.open == still_open
    ended = desk.fold(event(3_001))
    assert ended is not None
    assert ended.kind == "resolved"
