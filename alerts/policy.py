"""The policy of notifying, as it stands in `guanlan-desk.yaml`: targets, digests, what is told again.

`read_policy` reads the YAML and says with line and column what is wrong; `schema` is for editors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from zoneinfo import ZoneInfo, available_timezones

from alerts.desk import Notice
from alerts.sinks.storms import Digesting
from alerts.telling import DAY, Again
from rules.problems import Problem, ProblemsError
from rules.source import Reader, SourceProblem, Value, parse_yaml
from rules.transitions import SEVERITIES

LANGUAGES = ("en", "zh")
_LEVELS = ("watch", "warning", "critical")
_FILTERS = ("routes", "tags", "types", "regions")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])\Z")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}\Z")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class PolicyError(ProblemsError):
    """The policy is wrong; carries every problem found."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Hours:
    """When a target is told: days of the week (0 is Monday), from and until a time of day, in a time zone.

    Alerts of the severity `but` or graver are told at any hour; empty for none.
    """

    days: frozenset[int] = frozenset(range(7))
    begin: time = time(0, 0)
    end: time = time(0, 0)
    but: str = ""
    timezone: str = "Asia/Shanghai"

    def open_at(self, now: float) -> bool:
        """Whether `now` (seconds since the epoch) is within the hours; from 18:00 to 06:00 is over midnight."""
        moment = datetime.fromtimestamp(now, ZoneInfo(self.timezone))
        clock, day = moment.time(), moment.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= clock < self.end
        return (day in self.days and clock >= self.begin) or ((day - 1) % 7 in self.days and clock < self.end)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to tell: an address, a language, and which alerts.

    `name` is free of secrets and stays when a password changes. `severity` is the least that an alert must have
    reached; each of `routes`, `tags`, `types` and `regions` lets through what it names, empty for everything.
    `source` says where the address stands, for errors.
    """

    name: str
    url: str = field(repr=False)
    language: str = "en"
    severity: str = "watch"
    routes: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    hours: Hours | None = None
    digest: Digesting = field(default_factory=Digesting)
    title: str = ""
    source: str = "GUANLAN_NOTIFY"

    def wants(self, notice: Notice) -> bool:
        """Whether the target is told of it: then also of its easing and its end."""
        event = notice.alert.last
        reached = [event.severity, *(step.severity for step in notice.steps)]
        if notice.before is not None:
            reached.append(notice.before.last.severity)
        if max(map(_rank, reached)) < _rank(self.severity):
            return False
        return (
            (not self.routes or event.route in self.routes)
            and (not self.tags or not self.tags.isdisjoint(event.tags))
            and (not self.types or event.labels.get("type", "") in self.types)
            and (not self.regions or event.labels.get("region", "") in self.regions)
        )

    def open_at(self, now: float, severity: str) -> bool:
        """Whether an alert of a severity may be told at `now` (seconds since the epoch)."""
        if self.hours is None or self.hours.open_at(now):
            return True
        return bool(self.hours.but) and _rank(severity) >= _rank(self.hours.but)


@dataclass(frozen=True, slots=True)
class Policy:
    """How the desk tells. Durations in seconds."""

    again: Again = field(default_factory=Again)
    digest: Digesting = field(default_factory=Digesting)
    gather: float = 5.0
    settle: float = 45.0
    tries: int = 5
    targets: tuple[Target, ...] = ()


def read_policy(text: str, file: str, environment: Mapping[str, str] | None = None) -> Policy:
    """Read a policy. `${NAME}` in a URL is the environment's. Raises PolicyError with every problem found."""
    problems: list[Problem] = []
    try:
        value = parse_yaml(text, file)
    except SourceProblem as err:
        raise PolicyError([err.problem]) from None
    policy = _Reading(problems, os.environ if environment is None else environment, file).policy(value)
    if problems:
        raise PolicyError(problems)
    return policy


def _rank(severity: str) -> int:
    return [str(name) for name in SEVERITIES].index(severity)


class _Reading:
    def __init__(self, problems: list[Problem], environment: Mapping[str, str], file: str) -> None:
        self._problems = problems
        self._environment = environment
        self._file = file
        self._zone = "Asia/Shanghai"

    def policy(self, value: Value) -> Policy:
        r = Reader(value, self._problems, "the policy")
        r.only(("timezone", "gather", "settle", "tries", "digest", "again", "flapping", "targets"))
        self._zone = r.text("timezone", self._zone)
        if self._zone not in available_timezones():
            r.problem(r.place("timezone"), "choice", f"no time zone {self._zone!r}", "write one like Asia/Shanghai")
            self._zone = "Asia/Shanghai"
        standard = Policy()
        digest = self._digest(r, standard.digest)
        tries = int(r.number("tries", standard.tries))
        if tries < 1:
            r.problem(r.place("tries"), "range", "'tries' must be at least 1")
        return Policy(
            self._again(r),
            digest,
            self._seconds(r, "gather", standard.gather),
            self._seconds(r, "settle", standard.settle),
            max(tries, 1),
            self._targets(r, digest),
        )

    def _again(self, r: Reader) -> Again:
        standard = Again(timezone=self._zone)
        again = self._inner(r, "again", ("worsened", "past_due", "unanswered"))
        flapping = self._inner(r, "flapping", ("openings", "within", "quiet"))
        if again is not None:
            factor = again.number("worsened", standard.worsened)
            if factor and factor <= 1:
                again.problem(again.place("worsened"), "range", "'worsened' is a factor above 1, or 0 for never")
            unanswered = self._inner(again, "unanswered", _LEVELS)
            after = dict(standard.unanswered)
            if unanswered is not None:
                after = {level: self._seconds(unanswered, level, 0.0) for level in _LEVELS if level in unanswered.data}
            standard = replace(
                standard,
                worsened=factor,
                past_due=again.flag("past_due", standard.past_due),
                unanswered=tuple((level, seconds) for level, seconds in after.items() if seconds),
            )
        if flapping is not None:
            openings = int(flapping.number("openings", standard.openings))
            if openings == 1 or openings < 0:
                flapping.problem(flapping.place("openings"), "range", "'openings' is at least 2, or 0 for never")
            standard = replace(
                standard,
                openings=openings,
                window=self._seconds(flapping, "within", standard.window),
                quiet=self._seconds(flapping, "quiet", standard.quiet),
            )
        return standard

    def _digest(self, r: Reader, standard: Digesting) -> Digesting:
        inner = self._inner(r, "digest", ("above", "within"))
        if inner is None:
            return standard
        above = int(inner.number("above", standard.above))
        if above < 0:
            inner.problem(inner.place("above"), "range", "'above' can't be negative")
        return Digesting(above, self._seconds(inner, "within", standard.within))

    def _targets(self, r: Reader, digest: Digesting) -> tuple[Target, ...]:
        found: list[Target] = []
        for value in r.items("targets"):
            target = self._target(value, digest)
            if target.name in {other.name for other in found}:
                r.problem(value.place, "twice", f"two targets are called {target.name!r}", "a name is one target")
            found.append(target)
        return tuple(found)

    def _target(self, value: Value, digest: Digesting) -> Target:
        r = Reader(value, self._problems, "a target")
        r.only(("name", "title", "url", "language", "severity", *_FILTERS, "hours", "digest"))
        name = r.text("name")
        if name and (not _NAME.match(name) or name.startswith("alertmanager")):
            fix = "letters, digits, '.', '_' and '-'; names that begin with alertmanager are taken"
            r.problem(r.place("name"), "name", f"a target can't be called {name!r}", fix)
        return Target(
            name,
            self._url(r),
            r.choice("language", LANGUAGES, "en"),
            r.choice("severity", _LEVELS, "watch"),
            *(frozenset(r.strings(key)) for key in _FILTERS),
            hours=self._hours(r),
            digest=self._digest(r, digest),
            title=r.text("title", "") or name,
            source=str(r.place("url")),
        )

    def _url(self, r: Reader) -> str:
        url = r.text("url")
        for name in _VARIABLE.findall(url):
            if name not in self._environment:
                fix = "set it where the desk is started"
                r.problem(r.place("url"), "variable", f"the environment has no variable {name}", fix)
        if url and "://" not in url:
            fix = "an Apprise URL like wecombot://KEY, or https://host/path for a webhook"
            r.problem(r.place("url"), "url", "'url' has no scheme", fix)
        return _VARIABLE.sub(lambda match: self._environment.get(match.group(1), ""), url)

    def _hours(self, r: Reader) -> Hours | None:
        inner = self._inner(r, "hours", ("days", "from", "until", "but"))
        if inner is None:
            return None
        days: set[int] = set()
        for word in inner.strings("days") or ["mon-sun"]:
            first, _, last = word.partition("-")
            if first not in _DAYS or (last or first) not in _DAYS:
                fix = f"days are {', '.join(_DAYS)}, or a stretch like mon-fri"
                inner.problem(inner.place("days"), "choice", f"'days' can't be {word!r}", fix)
                continue
            begin, end = _DAYS.index(first), _DAYS.index(last or first)
            days |= {(begin + n) % 7 for n in range((end - begin) % 7 + 1)}
        but = inner.choice("but", _LEVELS, "watch") if "but" in inner.data else ""
        return Hours(frozenset(days), self._clock(inner, "from"), self._clock(inner, "until"), but, self._zone)

    def _clock(self, r: Reader, key: str) -> time:
        text = r.text(key, "00:00")
        match = _CLOCK.match(text)
        if match is None:
            r.problem(r.place(key), "shape", f"{key!r} is a time like \"08:30\", not {text!r}", "put it in quotes")
            return time(0, 0)
        return time(int(match.group(1)), int(match.group(2)))

    def _seconds(self, r: Reader, key: str, standard: float) -> float:
        if key not in r.data:
            return standard
        text = r.text(key)
        match = _DURATION.match(text)
        if match is None:
            fix = "a number and s, m, h or d, like 30s, 10m or 2d"
            r.problem(r.place(key), "shape", f"{key!r} must be a duration, not {text!r}", fix)
            return standard
        return float(match.group(1)) * _UNITS[match.group(2)]

    def _inner(self, r: Reader, key: str, known: tuple[str, ...]) -> Reader | None:
        value = r.data.get(key)
        if value is None or value.data is None:
            return None
        inner = Reader(value, self._problems, f"{key!r}")
        inner.only(known)
        return inner


def schema() -> dict[str, object]:
    """Return the JSON Schema of the file, as published in `docs/schemas/desk.json`."""
    duration = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhd]$"}
    texts = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

    def mapping(keys: dict[str, object], *required: str) -> dict[str, object]:
        found: dict[str, object] = {"type": "object", "additionalProperties": False, "properties": keys}
        return {**found, "required": list(required)} if required else found

    digest = mapping({"above": {"type": "integer", "minimum": 0}, "within": duration})
    clock = {"type": "string", "pattern": r"^([01]?\d|2[0-3]):[0-5]\d$"}
    hours = mapping({"days": texts, "from": clock, "until": clock, "but": {"enum": list(_LEVELS)}})
    target = mapping(
        {
            "name": {"type": "string", "pattern": r"^(?!alertmanager)[A-Za-z0-9][A-Za-z0-9._-]{0,60}$"},
            "title": {"type": "string"},
            "url": {"type": "string", "pattern": "://"},
            "language": {"enum": list(LANGUAGES)},
            "severity": {"enum": list(_LEVELS)},
            **dict.fromkeys(_FILTERS, texts),
            "hours": hours,
            "digest": digest,
        },
        "name",
        "url",
    )
    again = mapping(
        {
            "worsened": {"type": "number", "minimum": 0},
            "past_due": {"type": "boolean"},
            "unanswered": mapping(dict.fromkeys(_LEVELS, duration)),
        }
    )
    flapping = mapping({"openings": {"type": "integer", "minimum": 0}, "within": duration, "quiet": duration})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:guanlan:schema:desk:1",
        "title": "Policy of Guanlan's alert desk",
        **mapping(
            {
                "timezone": {"type": "string"},
                "gather": duration,
                "settle": duration,
                "tries": {"type": "integer", "minimum": 1},
                "digest": digest,
                "again": again,
                "flapping": flapping,
                "targets": {"type": "array", "items": target},
            }
        ),
    }


if __name__ == "__main__":
    import json
    from pathlib import Path

    page = Path(__file__).parents[1] / "docs" / "schemas" / "desk.json"
    page.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
