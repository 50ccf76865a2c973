"""What topics say after a run, and where two runs differ that must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from alerts.events import decode
from rules.transitions import Transition
from streams.topics import ALERTS, FILINGS
from streams.wire import read_rejection
from tests.chaos.load import ACROSS
from tests.chaos.poison import Sent
from tests.chaos.run import Run

Pair = tuple[str, str]
Place = tuple[int, int]


@dataclass
class Outcome:
    """What readers of a run's topics know.

    `transitions` by id, as they came first; `bytes` their records; `repeats` came again, `altered` with other bytes.
    `rejected` has, by partition and offset, each reason with the record's bytes.
    """

    transitions: dict[str, Transition] = field(default_factory=dict)
    bytes: dict[str, bytes] = field(default_factory=dict)
    repeats: int = 0
    altered: list[str] = field(default_factory=list)
    rejected: dict[Place, list[tuple[str, bytes | None, bytes | None]]] = field(default_factory=dict)
    strays: int = 0

    @classmethod
    def of(cls, run: Run) -> Outcome:
        """Read a run's topics."""
        found = cls()
        for record in run.topics.read(ALERTS):
            transition = decode(record.value or b"")
            if transition.id in found.bytes:
                found.repeats += 1
                if found.bytes[transition.id] != record.value:
                    found.altered.append(transition.id)
                continue
            found.transitions[transition.id], found.bytes[transition.id] = transition, record.value or b""
        for record in run.topics.rejected():
            about = read_rejection(record.headers)
            place = int(about["partition"]), int(about["offset"])
            found.rejected.setdefault(place, []).append((about["reason"], record.key, record.value))
        sent = dict(zip(places(run.records), run.records, strict=True))
        for record in run.topics.read(FILINGS):
            one = sent.get((record.partition, record.offset))
            found.strays += one is None or (one.key, one.value) != (record.key, record.value)
        return found

    def own(self) -> set[str]:
        """Return the ids of transitions that must be the same in every run."""
        return {ident for ident, t in self.transitions.items() if t.rule not in ACROSS}

    def standing(self) -> dict[Pair, str]:
        """Return the severity of every alert that readers take to be open, by rule and subject."""
        alerts: dict[Pair, dict[str, str]] = {}
        for t in self.transitions.values():
            if not t.alert_id:
                continue
            mine = alerts.setdefault((t.rule, t.subject), {})
            mine.pop(t.supersedes, None)
            mine[t.alert_id] = t.severity
            if t.state == "resolved":
                del mine[t.alert_id]
        return {pair: "+".join(sorted(mine.values())) for pair, mine in alerts.items() if mine}


def places(records: list[Sent]) -> Iterator[Place]:
    """Yield the partition and offset that each record gets."""
    ends: Counter[int] = Counter()
    for one in records:
        yield one.partition, ends[one.partition]
        ends[one.partition] += 1


def faults_alone(run: Run, found: Outcome) -> Iterator[str]:
    """Yield what is wrong with a run by itself."""
    yield from run.stood
    if found.strays:
        yield f"{found.strays} records of topic filings are not those that were sent"
    sent = dict(zip(places(run.records), run.records, strict=True))
    bad = {place: one for place, one in sent.items() if one.reason}
    if lost := [f"{place}: {one.kind}" for place, one in bad.items() if place not in found.rejected]:
        yield _some(lost, "bad records were not refused")
    if wronged := [f"{place}: {why[0][0]}" for place, why in found.rejected.items() if place not in bad]:
        yield _some(wronged, "good records were refused")
    wanted = {place: (one.reason, one.key, one.value) for place, one in bad.items()}
    other = [
        f"{place}: {wanted[place][0]}, not {given[0]}"
        for place, why in found.rejected.items()
        for given in why
        if place in wanted and given != wanted[place]
    ]
    if other:
        yield _some(other, "records were refused for another reason, or with other bytes")
    if found.altered:
        yield _some(found.altered, "transitions came again with other bytes")


def faults_between(wanted: Outcome, found: Outcome) -> Iterator[str]:
    """Yield where a disturbed run differs from the undisturbed one."""
    if lacking := sorted(wanted.own() - found.own()):
        yield _some([_words(wanted.transitions[i]) for i in lacking], "transitions of institution rules are missing")
    if more := sorted(found.own() - wanted.own()):
        yield _some([_words(found.transitions[i]) for i in more], "transitions of institution rules are too many")
    both = wanted.own() & found.own()
    if altered := [_words(found.transitions[i]) for i in sorted(both) if wanted.bytes[i] != found.bytes[i]]:
        yield _some(altered, "transitions of institution rules have other bytes")
    before, after = wanted.standing(), found.standing()
    differ = [
        f"{rule} of {subject}: {after.get((rule, subject), 'closed')}, not {before.get((rule, subject), 'closed')}"
        for rule, subject in sorted(before.keys() | after.keys())
        if before.get((rule, subject)) != after.get((rule, subject))
    ]
    if differ:
        yield _some(differ, "alerts stand otherwise at the end")


def table(runs: Mapping[str, tuple[Run, Outcome]]) -> list[tuple[str, ...]]:
    """Return the figures of runs as rows, the first of them the heading."""
    rows: list[tuple[str, ...]] = [("", *runs)]
    each = list(runs.values())
    rows.append(("records", *(str(len(run.records)) for run, _ in each)))
    rows.append(("refused", *(str(len(found.rejected)) for _, found in each)))
    rows.append(("transitions", *(str(len(found.transitions)) for _, found in each)))
    across = [sum(t.rule in ACROSS for t in found.transitions.values()) for _, found in each]
    rows.append(("of rules across institutions", *map(str, across)))
    rows.append(("told again", *(str(found.repeats) for _, found in each)))
    rows.append(("alerts open at the end", *(str(len(found.standing())) for _, found in each)))
    rows.append(("kills", *(str(len(run.kills)) for run, _ in each)))
    rows.append(("seconds from kill to commit", *(_spread(run.track.recoveries(run.kills)) for run, _ in each)))
    rows.append(("ended by themselves", *(str(len(run.crew.ended)) for run, _ in each)))
    rows.append(("errors with a traceback", *(str(run.crew.tracebacks().total()) for run, _ in each)))
    return rows


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    ordered = sorted(seconds)
    return f"{ordered[0]:.1f} / {ordered[len(ordered) // 2]:.1f} / {ordered[-1]:.1f}"


def _words(t: Transition) -> str:
    return f"{t.rule} of {t.subject} at {t.as_of}: {t.state} {t.severity}"


def _some(found: list[str], what: str) -> str:
    return f"{len(found)} {what}: {'; '.join(found[:3])}{' …' if len(found) > 3 else ''}"
