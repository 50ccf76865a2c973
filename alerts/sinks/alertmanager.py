"""Alerts to a Prometheus Alertmanager, through its v2 API.

Alertmanager knows an alert by its labels, routes by them, and tells a receiver "resolved" whenever an alert that it was
told of ends. So what ends here must have ended in the engine, and nothing else may end:

- **Each telling is an alert of its own**: label `step`. An escalation opens a new one, which reaches the new receiver;
  the old one stays open beside it, and says in its annotations how things stand. When the engine resolves, all of a
  case's tellings end together: each receiver that was told hears it once.
- **A telling that is replaced at its own severity** (eased back, told again) must go without a word: it ends while an
  alert with the label `replaced` inhibits it (`inhibit_rules` of the shipped configuration).
- **Ends are a year ahead**: a desk that is away resolves nothing. What Alertmanager holds and the topic does not is
  found by asking it, and ended.
- **One thing at a time**: the next change of a case waits until Alertmanager's groups have been flushed after the last
  (`settle`). So no receiver is told of what is no longer so, and none of the end of what it never heard of.
- **An end is kept until it is sure**: until the same Alertmanager process has run on for long enough to have told it.
  One that was restarted before gets it again, and every open alert.

`startsAt` is when an alert is sent, because Alertmanager does not wait for a group whose alerts are older than its
`group_wait`; it keeps the first.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from alerts.desk import Alert, Notice, Step
from alerts.notes import Digest
from alerts.sinks import DeadLetter, SinkDown
from alerts.sinks.storms import Digesting, Storm, group_of
from alerts.wording import Names, annotations, headline, message, severity_after, structured
from rules.problems import ConfigError

log = logging.getLogger("guanlan.desk")

REPEAT_SECONDS = 60.0
ENDS_AFTER_SECONDS = 365 * 86_400.0
SETTLE_SECONDS = 45.0
GATHER_SECONDS = 1.0
REPLACED_SECONDS = 7_200.0
SILENT_END_AFTER_SECONDS = 2.0
LOOK_SECONDS = 15.0
RECONCILE_SECONDS = 300.0
TIMEOUT_SECONDS = 10.0
MOST_IN_A_REQUEST = 500
REFUSED = frozenset({400, 413, 422})

Posting = dict[str, Any]
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_AT_ONCE = frozenset({"repeated", "moved", "suppressed"})


@dataclass(slots=True)
class _Held:
    """A case as Alertmanager has it: the group of each of its open tellings, and when one was opened last."""

    notice: Notice
    groups: dict[str, tuple[Step, str]] = field(default_factory=dict)
    changed_at: float = float("-inf")
    muted: frozenset[str] = frozenset()

    def again(self) -> Notice:
        """Return the notice that says it once more."""
        return replace(self.notice, kind="repeated", steps=tuple(step for step, _ in self.groups.values()))


@dataclass(slots=True)
class _Plan:
    """What is to be posted for one case, what is so afterwards, and which notices that delivers."""

    notices: list[Notice]
    postings: list[Posting] = field(default_factory=list)
    held: _Held | None = None
    opened: list[Step] = field(default_factory=list)
    replaced: list[Posting] = field(default_factory=list)
    ended: bool = False


class AlertmanagerSink:
    """One Alertmanager. Guarantee: at least once, and once in effect, because equal labels are one alert.

    Of a cluster every member must be told: make a sink for each.
    """

    batch = MOST_IN_A_REQUEST
    repeat_seconds = REPEAT_SECONDS

    def __init__(
        self,
        url: str,
        now: Callable[[], float],
        name: str = "alertmanager",
        client: httpx.Client | None = None,
        names: Names = lambda subject: {},
        desk_url: str = "",
        digesting: Digesting | None = None,
        settle: float = SETTLE_SECONDS,
        gather: float = GATHER_SECONDS,
        desk: str = "guanlan",
        look: float = LOOK_SECONDS,
    ) -> None:
        """Post to the Alertmanager at `url`.

        `desk` names whose alerts these are: those of another in the same Alertmanager are left alone. `look` is how
        often it is asked whether it was restarted, in seconds.
        `settle` is at least `group_wait` and `group_interval` of its slowest route, in seconds; `gather` is for how
        long notices wait for others that belong to them.
        """
        self.name = name
        self._url = url.rstrip("/")
        self._now = now
        self._client = client or httpx.Client(timeout=TIMEOUT_SECONDS)
        self._names = names
        self._desk_url = desk_url
        self._settle = settle
        self._gather = gather
        self._desk = desk
        self._look_after = look
        self._storm = Storm(digesting or Digesting())
        self._dead: list[DeadLetter] = []
        self._since = ""
        self._forget()

    def _forget(self) -> None:
        self._pending: dict[str, list[Notice]] = {}
        self._gathered_at: float | None = None
        self._held: dict[str, _Held] = {}
        self._ends: list[tuple[float, _Plan]] = []
        self._silent: list[tuple[float, Posting]] = []
        self._active: dict[str, list[Posting]] = {}
        self._digests: dict[int, dict[int, str]] = {}
        self._partitions: frozenset[int] = frozenset()
        self._look_at = 0.0
        self._reconcile_at = 0.0

    def setup(self) -> None:
        """Check the address; raise ConfigError."""
        parts = httpx.URL(self._url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ConfigError(f"GUANLAN_ALERTMANAGER_URL must be like http://host:9093, not {self._url!r}")

    def add(self, notice: Notice) -> None:
        """Take a notice."""
        case = notice.alert.case
        if notice.kind == "repeated":
            if case not in self._pending:
                self._pending[case] = [notice]
            return
        if self._gathered_at is None:
            self._gathered_at = self._now()
        queue = self._pending.setdefault(case, [])
        queue[:] = [one for one in queue if one.kind != "repeated"]
        queue.append(notice)

    def flush(self) -> int:
        """Post what is due; return how many requests Alertmanager took. What it calls malformed is a dead letter."""
        now = self._now()
        self._look(now)
        accepted = self._post_silent_ends(now)
        if self._gathered_at is not None and now < self._gathered_at + self._gather:
            ready = [case for case, queue in self._pending.items() if queue[-1].kind == "repeated"]
        else:
            ready, self._gathered_at = list(self._pending), None
        plans = [plan for case in ready if (plan := self._plan(case, now)) is not None]
        plans = self._grouped(plans, now)
        for start in range(0, len(plans), MOST_IN_A_REQUEST):
            accepted += self._deliver(plans[start : start + MOST_IN_A_REQUEST], now)
        if self._partitions and now >= self._reconcile_at:
            self._reconcile_at = now + RECONCILE_SECONDS
            self._reconcile(now)
        return accepted

    def waiting(self) -> list[Notice]:
        """Return what was not posted, and ends that are not sure yet."""
        unsure = [notice for _, plan in self._ends for notice in plan.notices]
        return [notice for queue in self._pending.values() for notice in queue] + unsure

    def dead(self) -> list[DeadLetter]:
        """Return what was refused since the last call."""
        found, self._dead = self._dead, []
        return found

    def digests(self, partition: int) -> list[Digest]:
        """Return the digests of open tellings."""
        standing = {step.offset for held in self._held.values() for step, _ in held.groups.values()}
        named: dict[str, set[int]] = {}
        for offset, name in self._digests.get(partition, {}).items():
            if offset in standing:
                named.setdefault(name, set()).add(offset)
        return [Digest(name, frozenset(offsets)) for name, offsets in sorted(named.items())]

    def restore(self, partition: int, digests: Sequence[Digest]) -> None:
        """Take the digests back."""
        self._digests[partition] = {offset: digest.name for digest in digests for offset in digest.offsets}

    def assigned(self, partitions: Iterable[int]) -> None:
        """Every open alert of these partitions was added: what Alertmanager has beside them may be ended."""
        self._partitions = frozenset(partitions)

    def on_paused(self) -> None:
        """Forget everything."""
        self._forget()

    def _plan(self, case: str, now: float) -> _Plan | None:
        """Return what is to be posted of a case now; None where it must wait for what was posted before."""
        queue, held = self._pending[case], self._held.get(case)
        end = next((n for n, notice in enumerate(queue) if notice.kind == "resolved"), len(queue) - 1)
        notices = queue[: end + 1]
        if notices[-1].kind == "resolved" and held is None and len(notices) > 1:
            notices = notices[:-1]  # it fired and was resolved before anybody was told: first the one, then the other
        notice = notices[-1]
        told = any(one.kind not in _AT_ONCE for one in notices)
        if held is not None and told and now < held.changed_at + self._settle:
            return None
        return self._end(notices, held, now) if notice.kind == "resolved" else self._open(notices, held, now)

    def _open(self, notices: list[Notice], held: _Held | None, now: float) -> _Plan:
        notice = notices[-1]
        active = self._found(notice.alert.case)
        known = {step: posting["labels"]["group"] for step, posting in active.items()}
        groups: dict[str, tuple[Step, str]] = {}
        opened = []
        for step in notice.steps:
            if held is not None and step.id in held.groups:
                groups[step.id] = held.groups[step.id]
            elif step.id in known and held is None:
                groups[step.id] = (step, known[step.id])
            elif step is notice.steps[-1]:
                groups[step.id] = (step, self._group(notice, step))
                opened.append(step)
        told = held.notice if held is not None and notice.kind == "repeated" else notice
        replaced = [found for step, found in (held.groups if held else {}).items() if step not in groups]
        muted = frozenset(groups) if notice.alert.last.suppressed_by else frozenset()
        plan = _Plan(notices, held=_Held(told, groups, held.changed_at if held else float("-inf"), muted))
        plan.opened = opened if notice.kind != "repeated" else []
        for step, _ in replaced:
            plan.postings.append(marker(step.id, now, now + REPLACED_SECONDS, self._desk))
        plan.postings += [marker(step, now, now + ENDS_AFTER_SECONDS, self._desk) for step in muted]
        plan.replaced = [self._posting(told, step, group, now, over=True) for step, group in replaced]
        # what a desk before this one told, and could not end any more when something took its place
        strays = {} if held is not None else {k: p for k, p in active.items() if k not in groups}
        plan.postings += [marker(step, now, now + REPLACED_SECONDS, self._desk) for step in strays]
        plan.replaced += [_as_posted(posting, now, now) for posting in strays.values()]
        return plan

    def _end(self, notices: list[Notice], held: _Held | None, now: float) -> _Plan:
        notice = notices[-1]
        active = self._found(notice.alert.case)
        known = {step: posting["labels"]["group"] for step, posting in active.items()}
        groups = dict(held.groups) if held else {}
        for step in notice.steps if held is None else ():
            groups[step.id] = (step, known.get(step.id) or self._group(notice, step))
        plan = _Plan(notices, ended=True)
        plan.postings = [marker(step, now, now, self._desk) for step in (held.muted if held else ())]
        plan.postings += [self._posting(notice, step, group, now, over=True) for step, group in groups.values()]
        strays = {} if held is not None else {k: p for k, p in active.items() if k not in groups}
        plan.postings += [_as_posted(posting, now, now) for posting in strays.values()]
        return plan

    def _found(self, case: str) -> dict[str, Posting]:
        """Return the tellings of a case that Alertmanager held when it was asked, by step."""
        tellings = (p for p in self._active.get(case, ()) if p["labels"].get("replaced") != "yes")
        return {posting["labels"]["step"]: posting for posting in tellings}

    def _group(self, notice: Notice, step: Step) -> str:
        return self._digests.get(notice.partition, {}).get(step.offset) or " ".join(group_of(notice.alert.last))

    def _grouped(self, plans: list[_Plan], now: float) -> list[_Plan]:
        """Put what opens into a digest where it is too much, or hold it back; then write the postings."""
        opening = [plan for plan in plans if plan.opened]
        groups = {group_of(plan.notices[-1].alert.last) for plan in opening}
        first = len(groups) > 1 and any(plan.notices[-1].first for plan in opening)
        urgent = any(plan.notices[-1].alert.last.severity == "critical" for plan in opening)
        way = "digest" if first else self._storm.ask(now, len(groups), urgent)
        if way == "wait":
            plans = [plan for plan in plans if not plan.opened]
        if way == "digest":
            name = f"digest {datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}"
            for plan in opening:
                assert plan.held is not None
                for step in plan.opened:
                    plan.held.groups[step.id] = (step, name)
                    self._digests.setdefault(plan.notices[-1].partition, {})[step.offset] = name
            if opening:
                self._storm.digested(now)
        if way == "each":
            for _ in groups:
                self._storm.sent(now)
        for plan in plans:
            if plan.held is not None:
                told, partition = plan.held.notice, plan.notices[-1].partition
                for step, group in plan.held.groups.values():
                    plan.postings.append(self._posting(told, step, group, now, partition=partition))
        return plans

    def _deliver(self, plans: list[_Plan], now: float) -> int:
        """Post plans together; where that is refused, each alone, so that one can't take others with it."""
        if not plans:
            return 0
        why = self._post([posting for plan in plans for posting in plan.postings])
        if why is not None and len(plans) > 1:
            return sum(self._deliver([plan], now) for plan in plans)
        for plan in plans:
            case = plan.notices[-1].alert.case
            left = self._pending[case][len(plan.notices) :]
            self._pending[case] = left
            if not left:
                del self._pending[case]
            if why is not None:
                self._dead.append(self._letter(plan.notices[-1], why, now))
                continue
            self._active.pop(case, None)
            self._held.pop(case, None)
            if plan.held is not None:
                plan.held.changed_at = now if plan.opened else plan.held.changed_at
                self._held[case] = plan.held
            if plan.ended:
                self._ends.append((now, plan))
            self._silent += [(now + SILENT_END_AFTER_SECONDS, posting) for posting in plan.replaced]
        return int(why is None)

    def _letter(self, notice: Notice, why: str, now: float) -> DeadLetter:
        event = notice.alert.last
        return DeadLetter(
            hashlib.blake2b(f"{self.name}\x1f{event.id}\x1f{notice.kind}".encode(), digest_size=8).hexdigest(),
            self.name,
            why,
            stamp(now),
            1,
            headline(notice, self._names, "en"),
            message(notice, self._names, "en", self._desk_url),
            severity_after(notice),
            [event.id],
            [structured(notice, self._names, self._desk_url)],
        )

    def _post_silent_ends(self, now: float) -> int:
        """End what was replaced, now that Alertmanager's inhibitor has heard of it."""
        due = [posting for at, posting in self._silent if at <= now]
        if not due:
            return 0
        self._post([{**posting, "startsAt": stamp(now), "endsAt": stamp(now)} for posting in due])
        self._silent = [(at, posting) for at, posting in self._silent if at > now]
        return 1

    def _look(self, now: float) -> None:
        """See whether Alertmanager is the process that it was; one that is new knows nothing of alerts."""
        if now < self._look_at:
            return
        since = str(self._get("/api/v2/status").get("uptime", ""))
        self._look_at = now + self._look_after
        if since != self._since:
            if self._since:
                log.info("%s was restarted: everything open is sent again, and %d ends", self.name, len(self._ends))
            self._since = since
            self._active = {}
            for posting in self._get("/api/v2/alerts"):
                if "step" in posting["labels"] and "alert_id" in posting["labels"]:
                    self._active.setdefault(posting["labels"]["alert_id"], []).append(posting)
            again = [posting for _, plan in self._ends for posting in plan.postings]
            if again:
                self._post([{**posting, "startsAt": stamp(now), "endsAt": stamp(now)} for posting in again])
                self._ends = [(now, plan) for _, plan in self._ends]
            for case, held in self._held.items():
                self._pending.setdefault(case, [held.again()])
            self._reconcile_at = 0.0
        self._ends = [(at, plan) for at, plan in self._ends if now < at + 2 * self._settle]

    def _reconcile(self, now: float) -> None:
        """End what Alertmanager holds of our partitions and the topic does not, and marks that nothing needs."""
        found = self._get("/api/v2/alerts")
        ours = [p for p in found if "step" in p["labels"] and p["annotations"].get("desk") == self._desk]
        tellings = [p for p in ours if p["labels"].get("replaced") != "yes"]
        shown = {p["labels"]["step"] for p in tellings}
        lost, silent = [], []
        for posting in tellings:
            case, step = posting["labels"].get("alert_id", ""), posting["labels"]["step"]
            held = self._held.get(case)
            if case in self._pending or int(posting["annotations"].get("partition", -1)) not in self._partitions:
                continue
            if held is None:
                lost.append(_as_posted(posting, now, now))
            elif step not in held.groups:
                silent.append(posting)
        old = [
            _as_posted(p, now, now)
            for p in ours
            if p["labels"].get("replaced") == "yes"
            and p["labels"]["step"] not in shown
            and now > datetime.fromisoformat(p["startsAt"]).timestamp() + REPLACED_SECONDS
        ]
        marks = [marker(posting["labels"]["step"], now, now + REPLACED_SECONDS, self._desk) for posting in silent]
        if lost or old or marks:
            log.info("%s: %d alerts that are over, %d that were replaced", self.name, len(lost), len(silent))
            self._post([*lost, *old, *marks])
        self._silent += [(now + SILENT_END_AFTER_SECONDS, _as_posted(posting, now, now)) for posting in silent]

    def _posting(
        self, notice: Notice, step: Step, group: str, now: float, over: bool = False, partition: int = -1
    ) -> Posting:
        """Return one telling as the API takes it: open, or ended now."""
        words = annotations(notice, self._names, self._desk_url)
        words |= {"partition": str(partition if partition >= 0 else notice.partition), "opened": notice.alert.opened}
        words["desk"] = self._desk
        return {
            "labels": labels(notice.alert, step, group),
            "annotations": words,
            "startsAt": stamp(now),
            "endsAt": stamp(now if over else now + ENDS_AFTER_SECONDS),
        }

    def _post(self, postings: list[Posting]) -> str | None:
        """Return None when taken, the reason when refused for good; raise SinkDown otherwise."""
        answer = self._ask("POST", "/api/v2/alerts", postings)
        return None if answer.is_success else f"{answer.status_code} {answer.text.strip()[:300]}"

    def _get(self, path: str) -> Any:
        answer = self._ask("GET", path)
        try:
            return answer.json()
        except ValueError:
            raise SinkDown(f"{self.name} at {self._url}{path} answered no JSON: is it an Alertmanager?") from None

    def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            answer = self._client.request(method, f"{self._url}{path}", json=body)
        except httpx.HTTPError as err:
            raise SinkDown(f"{self.name} at {self._url} can't be reached: {err or type(err).__name__}") from None
        if answer.is_success or (method == "POST" and answer.status_code in REFUSED):
            return answer
        raise SinkDown(f"{self.name} at {self._url} answered {answer.status_code} {answer.text.strip()[:300]}")


def labels(alert: Alert, step: Step, group: str) -> dict[str, str]:
    """Return the labels: what routes, groups and silences may match on, and what makes the telling this one.

    `alert_id` is the id of the case, so that a corrected start does not make another alert. `group` is what is told
    in one message: an institution and a family of rules, or a digest. The engine's own labels (type, region, peer
    group) come along where their names suit Prometheus. Empty ones are left out.
    """
    event = alert.last
    own = {
        "alertname": event.rule,
        "subject": event.subject,
        "family": group_of(event)[1],
        "severity": step.severity,
        "pack": event.pack,
        "route": event.route,
        "scope": event.scope,
        "alert_id": alert.case,
        "step": step.id,
        "group": group,
        "replaced": "",
    }
    others = {k: v for k, v in event.labels.items() if _LABEL.match(k)}
    return {k: v for k, v in sorted({**others, **own}.items()) if v}


def marker(step: str, now: float, until: float, desk: str) -> Posting:
    """Return the alert that inhibits one telling, so that it may end without a word."""
    return {
        "labels": {"alertname": "GuanlanReplaced", "replaced": "yes", "step": step},
        "annotations": {"desk": desk, "summary_en": "Inhibits an alert that was told anew, or is silenced"},
        "startsAt": stamp(now),
        "endsAt": stamp(until),
    }


def _as_posted(found: Posting, now: float, until: float) -> Posting:
    kept = {"labels": found["labels"], "annotations": found["annotations"]}
    return {**kept, "startsAt": stamp(now), "endsAt": stamp(until)}


def stamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339, in UTC and to the millisecond.

    >>> stamp(0.5)
    '1970-01-01T00:00:00.500+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
