"""When a checkpoint begins, and how long it rests."""

from __future__ import annotations

import pytest

from streams.pace import HELD_BYTES, LONGEST_PAUSE, REST_SECONDS, Pace


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


def test_the_next_checkpoint_begins_before_filings_have_to_wait_for_it() -> None:
    """At half of what may be unsaved, whatever the pause; with less than that the pause holds."""
    pace = Pace(Clock())
    pace.pause(1.0, 0)
    pace.unsaved = HELD_BYTES // 2
    assert not pace.due()
    pace.unsaved += 1
    assert pace.due()
    assert not pace.full()
    pace.unsaved = HELD_BYTES + 1
    assert pace.full()


@pytest.mark.parametrize(("share", "rest"), [(0.0, REST_SECONDS), (0.5, REST_SECONDS / 2), (1.0, 0.0), (1.5, 0.0)])
def test_a_checkpoint_rests_the_less_the_more_is_unsaved(share: float, rest: float) -> None:
    """Not at all when filings wait for it."""
    pace = Pace(Clock())
    pace.unsaved = int(share * HELD_BYTES)
    assert pace.rest() == pytest.approx(rest)
