"""What the engine says: transitions, with deterministic ids and frozen evidence."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

State = Literal["pending", "firing", "escalated", "eased", "resolved", "suppressed", "released", "stale", "worsened"]
Severity = Literal["none", "watch", "warning", "critical"]
Cause = Literal["filed", "late", "revised", "clock", "rule-changed", "retired"]

SEVERITIES: tuple[Severity, ...] = ("none", "watch", "warning", "critical")


class Reading(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One value a rule read: number (or None where missing), its unit, and the filing it came from."""

    value: float | None
    unit: str = ""
    as_of: str | None = None
    revision: int | None = None
    offset: int | None = None


class Applied(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A parameter as it was in force: its value (None where no row applies), and the row it came from.

    `row` names whom the row is for: default, or type=bank. `since` and `until` are its first and last as-of dates.
    """

    value: float | None
    unit: str = ""
    row: str = ""
    basis: dict[str, str | None] = {}
    author: str = ""
    since: str = ""
    until: str = ""


class Waived(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The waiver that silences an alert; `until` is the last as-of date."""

    reason: str
    document: str
    approver: str
    until: str


class Covered(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Of whom a value across institutions is made: those expected to report, those that have, those with a value.

    `share` is what has filed of what is expected, `by` assets or count.
    """

    expected: int
    filed: int
    values: int
    share: float
    by: str


class Overdue(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A form that was not filed in time: since when it is overdue, and the as-of date that it was filed for last."""

    form: str
    since: str
    last: str
    title: dict[str, str] = {}


class Measured(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the level in force measures: of several numbers the first that it compares with a limit.

    `name` is the indicator's id or an expression, `unit` as of values, or points for a difference of fractions.
    `side` says where of `limit` the level holds. `before` is the value in the filing before, None where there is none
    or the number is no indicator. `median` and `percentile` (0 to 1) are those of the `peers` institutions of the peer
    group that have a value, itself included; left out where they are fewer than ten, or not known where the rule runs.
    """

    name: str
    value: float | None
    unit: str = ""
    side: Literal["below", "at_most", "above", "at_least", "equal", "unequal"] = "below"
    limit: float | None = None
    before: float | None = None
    title: dict[str, str] = {}
    median: float | None = None
    percentile: float | None = None
    peers: int = 0


class Transition(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One change of one rule's state for one subject.

    pending    a level holds, but not yet for as long as `for` asks; carries no alert id
    firing     the alert opens at `severity`
    escalated  a higher level holds now
    eased      only a lower level holds now
    resolved   no level holds (and `clear` holds): the episode is over; or a pending lapsed (no alert id)
    suppressed the open alert is silenced now, or by something else than before: `suppressed_by` says by what
    released   nothing silences the open alert any more: it counts as firing, at its severity
    worsened   it stays critical, at least twice as far beyond the limit as what was told last
    stale      the open alert's data ran out: `overdue` names the forms that did not come; it stays open

    An open alert is stale as long as its transitions have `overdue`. When its forms have come and its severity is
    the same as before, it is told as `firing` again, `previous` being that severity. One with `suppressed_by` is
    computed and told, and notifies nobody.

    `message` is the rule's text of this state; empty where the rule has none for a state that is not the firing of a
    level, because the text of a firing would say what is no longer so. `action`, and what `basis` says of `evidence`
    and `standing` (law or proposal), are those of the level in force; `resolved` has no action.

    `as_of` is the date of the world that the change speaks of, `seen_at` when the filing that showed it
    was submitted. `due` is until when to act; `due_provisional` says that it counts working days which are not
    announced yet, and may move. `started` is the as-of date of the episode's first firing. Dates are ISO 8601.
    """

    id: str
    alert_id: str
    rule: str
    subject: str
    state: State
    severity: Severity
    previous: Severity
    as_of: str
    started: str
    seen_at: str
    revision: int
    cause: Cause
    scope: str = "institution"
    pack: str = ""
    pack_version: str = ""
    rule_hash: str = ""
    status: str = "live"
    supersedes: str = ""
    condition: str = ""
    values: dict[str, Reading] = {}
    title: dict[str, str] = {}
    message: dict[str, str] = {}
    basis: dict[str, str | None] = {}
    action: dict[str, str] = {}
    deadline: str = ""
    route: str = ""
    tags: list[str] = []
    labels: dict[str, str] = {}
    suppressed_by: list[str] = []
    waiver: Waived | None = None
    parameters: dict[str, Applied] = {}
    plan: list[str] = []
    due: str = ""
    coverage: dict[str, Covered] = {}
    notes: list[dict[str, str]] = []
    overdue: list[Overdue] = []
    due_provisional: bool = False
    measured: Measured | None = None
    zone: str = ""


class Ids:
    """Makes the ids of one rule's alerts and transitions: what they have in common is hashed once."""

    __slots__ = ("_alert", "_transition")

    def __init__(self, rule: str) -> None:
        self._alert, self._transition = (
            hashlib.blake2b(f"{kind}\x1f{rule}\x1f".encode(), digest_size=16) for kind in ("alert", "transition")
        )

    def alert(self, subject: str, started: str) -> str:
        """Return the alert's id: the same rule, subject and first firing give the same id, always."""
        digest = self._alert.copy()
        digest.update(f"{subject}\x1f{started}".encode())
        return digest.hexdigest()

    def transition(
        self, subject: str, alert: str, as_of: str, state: str, severity: str, revision: int, by: str = ""
    ) -> str:
        """Return the transition's id. Rule and subject are in it because a pending has no alert id yet.

        `by` names what caused it. A late or revised filing can take a state back and another one bring it again, all
        at one date: three transitions, which readers that drop repeats must tell apart.
        """
        digest = self._transition.copy()
        digest.update(f"{subject}\x1f{alert}\x1f{as_of}\x1f{state}\x1f{severity}\x1f{revision}\x1f{by}".encode())
        return digest.hexdigest()


def alert_id(rule: str, subject: str, started: str) -> str:
    """Return the id of an alert, as `Ids` makes it."""
    return Ids(rule).alert(subject, started)


def transition_id(
    rule: str, subject: str, alert: str, as_of: str, state: str, severity: str, revision: int, by: str = ""
) -> str:
    """Return the id of a transition, as `Ids` makes it."""
    return Ids(rule).transition(subject, alert, as_of, state, severity, revision, by)
