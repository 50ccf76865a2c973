"""The benchmark compares like with like: rules as data, as closures, as columns and as a pack say the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from benchmarks.jobs import Job
from benchmarks.ways.closures import State, compiled, judge, remembered
from benchmarks.ways.columns import Judge, steps
from guanlan.synthetic.sector import Record
from rules.catalogue import parse_catalogues
from rules.engine import Engine, FormBatch
from rules.pack import PackText, compile_packs
from rules.transitions import SEVERITIES
from streams.decode import Decoder

JOB = Job("tiny", institutions=40, indicators=60, rules=60, filings=1_200, history=True)
BATCH = 130
Change = tuple[str, str, str, int]


def by_closures(records: list[Record]) -> set[Change]:
    """One filing at a time, as the plain ways do."""
    rules, kept = compiled(JOB.thresholds), remembered(JOB.thresholds)
    states: dict[str, State] = {}
    found = set()
    for record in records:
        for c in judge(rules, kept, msgspec.json.decode(record.value), states.setdefault(record.key, {})):
            found.add((c["rule"], c["subject"], c["as_of"], c["to"]))
    return found


def by_columns(records: list[Record]) -> set[Change]:
    """Batches by numpy alone, as the limit does."""
    columns = Judge(JOB, JOB.institutions)
    places = {i.code: n for n, i in enumerate(JOB.wide.institutions)}
    found = set()
    for start in range(0, len(records), BATCH):
        filings = [msgspec.json.decode(r.value) for r in records[start : start + BATCH]]
        rows = np.array([places[f["institution"]] for f in filings])
        values = np.array([[np.nan if v is None else v for v in f["values"].values()] for f in filings])
        for step in steps(rows):
            told = columns.judge(rows[step], values[step])
            for rule, place, _, new in zip(*(c.tolist() for c in told), strict=True):
                one = filings[step[place]]
                found.add((columns.ids[rule], one["institution"], one["as_of"], new))
    return found


def by_engine(records: list[Record]) -> set[Change]:
    """Batches by the engine, from the pack."""
    catalogue = parse_catalogues([(JOB.wide.catalogue, "wide.yaml")])
    engine = Engine(compile_packs([PackText(JOB.pack, "bench.yaml")], catalogue), JOB.wide.institutions)
    decoder = Decoder(catalogue)
    found = set()
    for start in range(0, len(records), BATCH):
        (c,) = decoder.decode([r.value for r in records[start : start + BATCH]]).forms
        rows = engine.rows(c.institutions)
        batch = FormBatch(c.form, rows, c.as_of, c.submitted_at, c.revision, c.index + start, c.index, c.values)
        for t in engine.apply([batch]).transitions:
            if t.alert_id and t.state != "pending":
                found.add((t.rule, t.subject, t.as_of, SEVERITIES.index(t.severity)))
    return found


@pytest.mark.parametrize("way", [by_columns, by_engine])
def test_every_way_finds_the_changes_that_closures_find(way: Callable[[list[Record]], set[Change]]) -> None:
    """Levels, holds over filings, clearing, changes over one filing and missing values mean the same everywhere."""
    records = list(JOB.wide.records())
    expected = by_closures(records)
    assert len({rule for rule, *_ in expected}) > JOB.rules / 2
    assert {level for *_, level in expected} == {0, 1, 2}
    assert way(records) == expected
