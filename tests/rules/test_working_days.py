"""Working days as the State Council announces them, years that are not announced yet, and what moves then.

Source of China's days: the yearly notices of the General Office of the State Council on public holidays,
国办发明电〔2024〕12号 for 2025 and 国办发明电〔2025〕7号 for 2026.
"""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from rules import working_days
from rules.calendar import DAY, act_by, act_is_provisional, due, format_instant, is_provisional, parse_instant, seconds
from rules.catalogue import Form, load_catalogue
from rules.engine import Engine
from rules.pack import compile_packs
from rules.provisional import moved, open_provisional
from rules.registry import Institution
from rules.working_days import business_days_after, is_business_day, last_announced

MADE_UP = {
    2025: ["2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"],
    2026: ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"],
}
CATALOGUE = load_catalogue(["cn"])


@pytest.mark.parametrize("year", MADE_UP)
def test_make_up_weekends_are_working_days_and_no_other_weekend_is(year: int) -> None:
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(365))
    assert [d.isoformat() for d in days if d.weekday() >= 5 and is_business_day(d)] == MADE_UP[year]


@pytest.mark.parametrize(
    ("start", "count", "last"),
    [("2025-01-27", 5, "2025-02-10"), ("2025-01-27", 4, "2025-02-08"), ("2026-02-13", 1, "2026-02-14")],
)
def test_business_days_count_them(start: str, count: int, last: str) -> None:
    """The Spring Festival of 2025 closed 28 January to 4 February; Saturday the 8th was worked."""
    assert business_days_after(date.fromisoformat(start), count).isoformat() == last


def test_every_deadline_in_business_days_counts_them() -> None:
    """A form of the catalogue, and until when to act on an alert."""
    daily = CATALOGUE.forms["cn.liquidity.d"]
    assert format_instant(due(daily, date(2026, 2, 13))) == "2026-02-14T16:00:00Z"  # the 14th ends in Shanghai
    assert act_by((5, "bd"), seconds(date(2025, 1, 27)), "CN", "Asia/Shanghai") == "2025-02-10"


def test_other_countries_weekends_are_their_own() -> None:
    """Without a country there are weekdays only; the Emirates rest on Saturday and Sunday, Iran on Friday."""
    assert not is_business_day(date(2025, 2, 8), "")
    assert not is_business_day(date(2025, 5, 2), "IR")
    assert is_business_day(date(2025, 5, 3), "IR")


QUARTERLY = CATALOGUE.forms["cn.prudential.q"]
LAST = last_announced("CN") or 0
YEAR_END = seconds(date(LAST, 12, 31))


def test_years_after_the_last_notice_are_provisional() -> None:
    """A deadline that ends in such a year is; that of the quarter before is not, and no calendar day ever is."""
    assert LAST >= 2026
    assert is_provisional(QUARTERLY, YEAR_END)
    assert not is_provisional(QUARTERLY, seconds(date(LAST, 9, 30)))
    assert not is_provisional(Form("d", {}, "quarterly", "20d"), YEAR_END)
    assert act_is_provisional((5, "bd"), YEAR_END)
    assert not act_is_provisional((5, "d"), YEAR_END)
    assert not act_is_provisional((5, "bd"), seconds(date(LAST, 6, 1)))


def test_countries_without_notices_are_certain_and_moons_are_not() -> None:
    """The United States move nothing by notice. The Emirates' feasts follow the moon: far ones are estimates."""
    assert not working_days.is_provisional("US", 2090)
    assert not working_days.is_provisional("", 2090)
    assert working_days.is_provisional("AE", 2090)


def test_what_is_open_and_provisional() -> None:
    """From the period's end to its deadline."""
    deadline = due(QUARTERLY, date(LAST, 12, 31))
    for now, found in ((YEAR_END - DAY, {}), (YEAR_END, {QUARTERLY.id: [(YEAR_END, deadline)]}), (deadline + DAY, {})):
        assert open_provisional([QUARTERLY], now, "CN") == found


def test_a_deadline_that_was_counted_otherwise_has_moved() -> None:
    """Sunday 4 January 2026 is worked: the return of 31 December 2025 is due a day before what weekends alone give."""
    as_of, before = seconds(date(2025, 12, 31)), parse_instant("2026-01-23T16:00:00Z")
    found = moved({QUARTERLY.id: [(as_of, before)], "gone": [(as_of, before)]}, CATALOGUE.forms, "CN")
    assert [str(one) for one in found] == [
        "cn.prudential.q as of 2025-12-31 is due 2026-01-22T16:00:00Z, not 2026-01-23T16:00:00Z as was counted before"
    ]


def test_state_remembers_what_was_provisional() -> None:
    """Whoever takes over the state with newer working days hears which deadlines moved; with the same ones none."""
    program = compile_packs([], CATALOGUE)
    engine = Engine(program, [Institution("A")])
    engine.tick(YEAR_END + DAY)
    blob = engine.export([engine.row("A")])
    heir = Engine(program)
    heir.restore(blob)
    assert heir.moved == {}
    whole = msgspec.msgpack.decode(blob)
    core = msgspec.msgpack.decode(whole["core"])
    counted = core["provisional"][QUARTERLY.id]
    assert [as_of for as_of, _ in counted] == [YEAR_END]
    counted[0][1] += DAY
    heir.restore(msgspec.msgpack.encode({**whole, "core": msgspec.msgpack.encode(core)}))
    assert [(one.form, one.before - one.after) for one in heir.moved.values()] == [(QUARTERLY.id, DAY)]
