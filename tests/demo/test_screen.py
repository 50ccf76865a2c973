"""The screen fits the terminal, whatever there is to show."""

from __future__ import annotations

import io
from collections import deque

import pytest
from rich.cells import cell_len
from rich.console import Console

from guanlan.demo.gauge import Readings
from guanlan.demo.screen import View, frame
from guanlan.demo.watch import Seen
from guanlan.synthetic import Sector
from rules.transitions import Severity, State, Transition


def transition(number: int, state: State = "firing", severity: Severity = "warning") -> Transition:
    """One transition of an alert of its own."""
    return Transition(
        id=f"t{number}",
        alert_id=f"a{number}",
        rule="bank.liquidity.slow_run",
        subject=f"CN{number:03d}",
        state=state,
        severity=severity,
        previous="watch",
        as_of="2026-03-02",
        started="2026-03-02",
        seen_at="2026-03-03T08:00:00Z",
        revision=0,
        cause="filed",
        message={"en": "deposits leave " * 20, "zh": "存款持续流失" * 20},
    )


def view(sector: Sector, language: str, phase: str = "live") -> View:
    """A view in the middle of the play."""
    readings = Readings(rates=deque([1.0, 500.0, 0.0]), buckets={0.25: 90.0, 1.0: 100.0, float("inf"): 100.0})
    return View(
        language,
        200,
        "2026-03-03",
        40,
        120,
        phase,
        1000,
        readings,
        {},
        sector.stories,
        "embedded",
        "127.0.0.1:9092",
        "http://127.0.0.1:9464/metrics",
    )


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("width", "height"), [(140, 42), (100, 30), (80, 24)])
@pytest.mark.parametrize("alerts", [0, 3, 300])
def test_a_frame_fits(language: str, width: int, height: int, alerts: int) -> None:
    """No line is wider than the terminal, no frame higher, and the last line says how to end."""
    seen = Seen()
    for number in range(alerts):
        seen.take(transition(number))
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(frame(view(Sector(institutions=40, quarters=2, live_days=60), language), seen, height))
    lines = capture.get().rstrip("\n").split("\n")
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert "Ctrl-C" in "".join(lines[-2:])


def test_open_alerts_follow_the_transitions() -> None:
    """A repeat changes nothing, a resolution closes, and the first firing of a pair is kept."""
    seen = Seen()
    first, again = transition(1), transition(1)
    closing = Transition(**{**{f: getattr(first, f) for f in first.__struct_fields__}, "id": "t2", "state": "resolved"})
    for one in (first, again, closing):
        seen.take(one)
    assert (seen.transitions, list(seen.open), seen.fired["bank.liquidity.slow_run", "CN001"]) == (2, [], first)


def test_latency_is_counted_from_the_live_days_on() -> None:
    """What the backlog of history took does not count."""
    readings = Readings(buckets={0.25: 10.0, 1.0: 100.0, float("inf"): 100.0})
    assert readings.latency(0.5, {}) == 1.0
    assert readings.latency(0.5, {0.25: 0.0, 1.0: 85.0, float("inf"): 85.0}) == 0.25
    assert readings.latency(0.5, dict(readings.buckets)) is None
