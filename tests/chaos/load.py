"""The load: daily filings of many institutions, late, revised, repeated and contradicted; bad records in between."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from streams.partitions import home
from tests.chaos.poison import DEAR, KINDS, PARTITIONS, Body, Sent, poison

HERE = Path(__file__).parent
CATALOGUE, PACK = HERE / "catalogue.yaml", HERE / "pack.yaml"
ACROSS = frozenset({"chaos.peer", "chaos.peers", "chaos.system"})
"""Rules whose intermediate transitions depend on how records arrive."""
FORMS = {"a.d": ("flag", "level", "jump", "mean", "peer", "gap"), "b.d": ("other",)}
FIRST = datetime.date(2025, 1, 1)
CHEAP = [kind for kind in KINDS if kind != DEAR]
GROUPS = 10

Values = dict[str, float | None]


class _Filing(NamedTuple):
    code: str
    form: str
    day: int
    revision: int
    values: Values


def registry(institutions: int) -> str:
    """Return the institutions as CSV, in peer groups by turns."""
    rows = (f"C{n:04d},Bank {n},bank,East,g{n % GROUPS}" for n in range(institutions))
    return "\n".join(["code,name,type,region,peer_group", *rows]) + "\n"


def load(seed: int, filings: int, institutions: int) -> list[Sent]:
    """Return the records in the order in which they are sent, each with what must become of it."""
    rng = random.Random(seed)
    planned = sorted(_planned(rng, filings, institutions), key=lambda entry: entry[0])
    codes = [f"C{n:04d}" for n in range(institutions)]
    edges = {0, len(planned) // 3, len(planned)}
    known: dict[tuple[str, str, int], tuple[int, Values]] = {}
    out: list[Sent] = []
    for number, (_, filing) in enumerate([*planned, (0.0, None)]):
        if number in edges:  # every kind at once
            out += [_bad(kind, rng.choice(codes), 0, rng) for kind in (*KINDS, *CHEAP)]
        if filing is None:
            continue
        if rng.random() < 0.03:
            out += [_bad(rng.choice(CHEAP), rng.choice(codes), filing.day, rng)] * rng.choice([1, 1, 2, 5])
        out.append(_good(filing, known))
    return out


def _planned(rng: random.Random, filings: int, institutions: int) -> Iterator[tuple[float, _Filing]]:
    """Yield filings with when they are sent, counted in filings."""
    number = day = 0
    while number < filings:
        for place in rng.sample(range(institutions), institutions):
            for form in FORMS if day % 3 == 0 else ("a.d",):
                at = number + (rng.uniform(1, 5) * institutions if rng.random() < 0.08 else 0.0)
                first = _Filing(f"C{place:04d}", form, day, 0, _values(rng, form, day))
                again = first._replace(revision=1, values=_values(rng, form, day))
                yield at, first
                number += 1
                if rng.random() < 0.03:
                    yield at + rng.uniform(0, 2) * institutions, first
                if rng.random() < 0.01:
                    yield at + rng.uniform(0, 2) * institutions, again._replace(revision=0)
                if rng.random() < 0.06:
                    yield at + rng.uniform(0, 3) * institutions, again
                    if rng.random() < 0.2:
                        more = again._replace(revision=2, values=_values(rng, form, day))
                        yield at + rng.uniform(0, 4) * institutions, more
        day += 1


def _values(rng: random.Random, form: str, day: int) -> Values:
    values = {name: None if rng.random() < 0.03 else round(rng.gauss(1, 0.05), 4) for name in FORMS[form]}
    if not any(value is not None for value in values.values()):
        values[FORMS[form][0]] = 1.0  # one of nothing is refused
    return values | {"flag": float((day + 1) % 2)} if form == "a.d" else values


def _body(filing: _Filing) -> Body:
    as_of = FIRST + datetime.timedelta(filing.day)
    return {
        "institution": filing.code,
        "form": filing.form,
        "as_of": as_of.isoformat(),
        "revision": filing.revision,
        "submitted_at": f"{as_of + datetime.timedelta(1)}T08:00:00Z",
        "values": filing.values,
    }


def _good(filing: _Filing, known: dict[tuple[str, str, int], tuple[int, Values]]) -> Sent:
    """Return the record of a filing; one that contradicts or repeats what came before must be refused."""
    what = filing.code, filing.form, filing.day
    before = known.get(what)
    reason = ""
    if before is not None and filing.revision <= before[0]:
        reason = "duplicate" if filing.revision == before[0] else "revision_backwards"
    else:
        known[what] = filing.revision, filing.values
    kind = reason or ("revised" if filing.revision else "filed")
    value = json.dumps(_body(filing)).encode()
    return Sent(home(filing.code, PARTITIONS), filing.code.encode(), value, (), reason, kind)


def _bad(kind: str, code: str, day: int, rng: random.Random) -> Sent:
    return poison(kind, code, _body(_Filing(code, "a.d", day, 0, _values(rng, "a.d", day))), rng)
