"""The tape keeps what was quoted whatever the order of arrival, and the stress index what the catalogue declares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import parse_catalogues
from rules.engine import FormBatch
from rules.problems import CatalogueError
from rules.stress import StressIndicator
from streams.stress import pieces, shaped, stress_packs
from streams.tape import DATES, DAY, MARKET, Line, Tape, on_one_axis
from tests.worker.field import MEASURES
from tests.worker.test_market import CATALOGUE

QUOTES = st.lists(st.tuples(st.sampled_from([MARKET, "A", "B"]), st.integers(0, 12), st.integers(0, 2)), unique=True)


@given(QUOTES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(told: list[tuple[str, int, int]], shuffle: object) -> None:
    """The latest revision of a day counts, and the newest days are due, in whatever order quotes came."""
    latest = {(s, d): r for s, d, r in sorted(told, key=lambda q: q[2])}
    mixed = list(told)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    tape = Tape()
    for offset, (series, day, revision) in enumerate(mixed):
        tape.put(series, day * DAY, 1.0 + revision, None, revision, offset, 0)
    for series, line in tape.lines.items():
        expected = {d: 1.0 + r for (s, d), r in latest.items() if s == series}
        assert dict(zip([d // DAY for d in line.days], line.values, strict=True)) == expected
    newest = sorted({d for _, d, _ in told})[-DATES:]
    assert [d // DAY for d in tape.dates()] == newest
    assert {d // DAY for d in tape.waiting()} == set(newest)


def test_a_repeat_by_offset_changes_nothing() -> None:
    """What was applied before a restart is known by its offset; the same revision again is a duplicate."""
    line = Line()
    assert line.put(DAY, 5.0, None, 0, 7) == "accepted"
    assert line.put(DAY, 6.0, None, 3, 7) == "replayed"
    assert line.put(DAY, 6.0, None, 0, 8) == "duplicate"
    assert line.put(DAY, 6.0, 2.0, 1, 9) == "accepted"
    assert line.put(DAY, 4.0, None, 0, 10) == "revision_backwards"
    assert (line.values, line.caps) == ([6.0], [2.0])


def test_series_stand_on_the_market_s_days() -> None:
    """A day on which the market was closed is left out, one on which a share was not traded is missing."""
    lines = {
        MARKET: Line([0, 2, 3], [1.0, 2.0, 3.0], [None] * 3, [0] * 3),
        "A": Line([0, 1, 3], [5.0, 6.0, 7.0], [None, None, 70.0], [0] * 3),
    }
    found = on_one_axis(lines, 10)
    assert found.days.tolist() == [0, 2, 3]
    assert found.prices[:, 0] == pytest.approx([5.0, np.nan, 7.0], nan_ok=True)
    assert found.caps[:, 0] == pytest.approx([np.nan, np.nan, 70.0], nan_ok=True)


def test_a_series_is_read_in_the_shape_that_is_asked_for() -> None:
    """Level, change, fall from the highest, and the scatter of twenty log changes."""
    levels = [100.0, 110.0, 99.0] + [99.0] * 20
    line = Line(list(range(len(levels))), levels, [None] * len(levels), [0] * len(levels))

    def read(shape: str) -> list[float]:
        return shaped(line, StressIndicator("x", series="X", shape=shape))[1].tolist()

    assert read("level") == levels
    assert read("change")[:2] == [10.0, -11.0]
    assert read("drawdown")[:3] == pytest.approx([0.0, 0.0, 0.1])
    moves = np.diff(np.log(levels))
    assert read("volatility") == pytest.approx([moves[t - 20 : t].std(ddof=1) for t in range(20, len(levels))])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("group_mean(funding_cost)", "group_mean(funding_cots)", r"little\.yaml:20:11.*funding_cots"),
        ("group_mean(funding_cost)", "funding_cost", r"little\.yaml:20:11.*a number of one institution.*group_mean"),
        ("as: volatility", "as: loud", "loud"),
        ("series: bond_spread", "series: bond_spread, value: equity", "either a value or a series"),
        ("id: spread", "id: volatility", "'market.volatility' stands twice"),
        ("decay: 0.9", "decay: 1.5", "'decay' must lie between 0 and 1"),
        ("history: 20", "history: 2", "'history' must be a whole number"),
        ("weight: 2", "weight: 0", "'weight' must be above 0"),
        ("id: funding\n", "id: index\n", "'stress_index' of a stress part is defined already"),
    ],
)
def test_a_wrong_declaration_is_told_where_it_stands(old: str, new: str, words: str) -> None:
    """Sections that do not hold, and values that do not compile or are of no system, are problems of the catalogue."""
    assert old in CATALOGUE
    text = CATALOGUE.replace(old, new)
    with pytest.raises(CatalogueError, match=words):
        stress_packs(parse_catalogues([(text, "little.yaml"), (MEASURES, "measures.yaml")]))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_pieces_are_the_batch_and_none_has_many_dates(dates: list[int]) -> None:
    """Nothing is lost or moved by cutting."""
    n = len(dates)
    batch = FormBatch(
        "t.day",
        np.arange(n, dtype=np.int32),
        np.array(dates, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int32),
        np.full(n, -1, np.int64),
        np.arange(n, dtype=np.int64),
        np.zeros((1, n)),
    )
    cut = list(pieces(batch))
    assert np.concatenate([p.rows for p in cut]).tolist() == list(range(n))
    assert all(len(set(p.as_of.tolist())) <= DATES for p in cut)
