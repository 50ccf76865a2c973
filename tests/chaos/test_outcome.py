"""What `make chaos` compares: it must see a lost transition, an alert left open, and other bytes."""

from __future__ import annotations

import msgspec

from alerts.events import encode
from rules.transitions import Transition
from tests.chaos.load import load
from tests.chaos.outcome import Outcome, faults_between
from tests.chaos.poison import KINDS


def told(*transitions: Transition) -> Outcome:
    """Return what readers know who were told this."""
    found = Outcome()
    for one in transitions:
        found.transitions[one.id], found.bytes[one.id] = one, encode(one)[1]
    return found


def transition(number: int, rule: str, state: str, alert: str = "a") -> Transition:
    """Return a transition of one subject."""
    body = {
        "id": f"t{number}", "alert_id": alert, "rule": rule, "subject": "C0001", "state": state,
        "severity": "none" if state == "resolved" else "watch", "previous": "none", "as_of": "2025-01-02",
        "started": "2025-01-01", "seen_at": "2025-01-03T08:00:00Z", "revision": 0, "cause": "filed",
    }  # fmt: skip
    return msgspec.convert(body, Transition)


OWN = transition(1, "chaos.level", "firing"), transition(2, "chaos.level", "resolved")
PEER = transition(3, "chaos.peer", "firing", "b"), transition(4, "chaos.peer", "resolved", "b")


def test_intermediate_transitions_across_institutions_may_differ() -> None:
    assert not list(faults_between(told(*OWN, *PEER), told(*OWN)))


def test_a_lost_transition_an_open_alert_and_other_bytes_are_seen() -> None:
    (lost,) = faults_between(told(*OWN), told())
    assert lost.startswith("2 transitions of institution rules are missing: chaos.level")
    (left_open,) = faults_between(told(*OWN), told(*OWN, PEER[0]))
    assert left_open == "1 alerts stand otherwise at the end: chaos.peer of C0001: watch, not closed"
    (altered,) = faults_between(told(*OWN), told(OWN[0], msgspec.structs.replace(OWN[1], revision=1)))
    assert altered.startswith("1 transitions of institution rules have other bytes")


def test_the_load_follows_from_its_seed_and_has_every_kind_of_bad_record() -> None:
    records = load(7, 1_000, 50)
    assert records == load(7, 1_000, 50) != load(8, 1_000, 50)
    kinds = {one.kind for one in records}
    assert KINDS.keys() | {"filed", "revised", "duplicate", "revision_backwards"} == kinds
    assert all(bool(one.reason) == (one.kind not in {"filed", "revised"}) for one in records)
