"""When a checkpoint begins, and how long it rests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.pace import DUE_BYTES, HELD_BYTES, LONGEST_PAUSE, REST_SECONDS, SAVED_BYTES, Pace


class Clock:
    """A time that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


def test_a_pause_follows_a_checkpoint_and_is_longer_after_a_large_one() -> None:
    """Ten times as long as copying took together with it, and a second for every four megabytes."""
    clock = Clock()
    pace = Pace(clock)
    assert pace.due()
    pace.pause(0.1, 0)
    assert not pace.due()
    clock.now += 0.89
    assert not pace.due()
    clock.now += 0.02
    assert pace.due()
    pace.pause(0.0, 8 << 20)
    clock.now += 1.9
    assert not pace.due()
    clock.now += 0.2
    assert pace.due()


def test_no_pause_is_longer_than_the_longest_and_any_can_be_ended() -> None:
    """However large the state is."""
    clock = Clock()
    pace = Pace(clock)
    pace.pause(100.0, 1 << 40)
    clock.now += LONGEST_PAUSE
    assert pace.due()
    pace.pause(100.0, 1 << 40)
    assert not pace.due()
    pace.hurry()
    assert pace.due()


def test_the_next_checkpoint_begins_long_before_filings_have_to_wait_for_it() -> None:
    """When much is unsaved, whatever the pause; with less than that the pause holds."""
    pace = Pace(Clock())
    pace.pause(1.0, 0)
    pace.unsaved = DUE_BYTES
    assert not pace.due()
    pace.unsaved += 1
    assert pace.due()
    assert not pace.full()
    pace.unsaved = HELD_BYTES + 1
    assert pace.full()


def test_a_checkpoint_rests_longest_while_nothing_comes_in_and_not_at_all_when_it_is_late() -> None:
    """However many turns are left."""
    pace = Pace(Clock())
    pace.unsaved = HELD_BYTES
    pace.begin()
    assert pace.rest(1_000) == REST_SECONDS
    pace.unsaved += 1
    assert pace.rest(1) == 0.0


@given(rate=st.floats(1e3, 1e9), turns=st.integers(1, 500), unsaved=st.floats(0, 1))
def test_filings_never_wait_for_a_checkpoint_whose_turns_themselves_take_no_time(
    rate: float, turns: int, unsaved: float
) -> None:
    """At any steady rate it is done in time, from wherever it may begin."""
    clock = Clock()
    pace = Pace(clock)
    pace.unsaved = before = int(unsaved * SAVED_BYTES)
    pace.begin()
    began = clock.now
    clock.now += 1e-4
    for left in range(turns, 0, -1):
        pace.unsaved = before + int(rate * (clock.now - began))
        clock.now += pace.rest(left)
    late = pace.unsaved - SAVED_BYTES
    assert late <= rate * 1e-4
