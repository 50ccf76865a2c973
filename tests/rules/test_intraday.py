"""Forms that are filed several times a day, and until when to act on an alert."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from rules.calendar import act_by, deadlines, due_at, expected, format_instant, has_deadline, parse_instant, seconds
from rules.catalogue import Catalogue, Form, parse_catalogues
from rules.engine import Engine
from rules.pack import PackText, compile_packs
from rules.problems import CatalogueError
from rules.registry import Institution
from tests.rules.worlds import CATALOGUE, batch, institutions, program

CASH = "  - {id: cash, frequency: intraday, times: ['10:00', '15:30'], deadline: 30min, grace_days: 1}\n"


def catalogue(form: str = CASH, zone: str = "Asia/Shanghai") -> Catalogue:
    text = CATALOGUE.replace("country: CN\n", f"country: CN\ntimezone: {zone}\n")
    return parse_catalogues([(text.replace("indicators:\n", f"{form}indicators:\n  - {{id: c, form: cash}}\n"), "c")])


def form() -> Form:
    return catalogue().forms["cash"]


def instants(found: list[tuple[int, int]]) -> list[tuple[str, str]]:
    return [(format_instant(due), format_instant(as_of)) for due, as_of in found]


def test_each_time_of_a_business_day_is_due_half_an_hour_later() -> None:
    """Ten and half past three in Shanghai; Friday 14 March 2025, then Monday the 17th."""
    found = deadlines(form(), parse_instant("2025-03-14"), parse_instant("2025-03-17T03:00:00Z"))
    assert instants(found) == [
        ("2025-03-14T02:30:00Z", "2025-03-14T02:00:00Z"),
        ("2025-03-14T08:00:00Z", "2025-03-14T07:30:00Z"),
        ("2025-03-17T02:30:00Z", "2025-03-17T02:00:00Z"),
    ]


def test_holidays_have_no_times() -> None:
    """The Spring Festival of 2025 closed 28 January to 4 February."""
    last = expected(form(), parse_instant("2025-02-04T12:00:00Z"))
    assert last is not None
    assert format_instant(last[1]) == "2025-01-27T07:30:00Z"


def test_summer_time_moves_them() -> None:
    """Ten in New York is 15:00 UTC in winter and 14:00 from 9 March 2025."""
    made = catalogue(zone="America/New_York").forms["cash"]
    mornings = deadlines(made, parse_instant("2025-03-07"), parse_instant("2025-03-10T15:00:00Z"), "US")
    assert [as_of for _, as_of in instants(mornings)][::2] == ["2025-03-07T15:00:00Z", "2025-03-10T14:00:00Z"]


def test_without_times_it_has_no_deadline() -> None:
    assert has_deadline(form())
    assert not has_deadline(replace(form(), times=()))


def test_other_forms_are_due_as_ever() -> None:
    quarterly = Form("q", {}, "quarterly", "15bd")
    assert format_instant(due_at(quarterly, seconds(date(2025, 3, 31)))) == "2025-04-23"


def test_a_missed_time_is_overdue_until_it_is_filed() -> None:
    text = "pack: p\nrules:\n  - {id: late, levels: {watch: overdue(cash)}}\n"
    known = catalogue()
    engine = Engine(compile_packs([PackText(text, "p")], known), [Institution("I0", type="bank")])
    morning = parse_instant("2025-03-14T02:00:00Z")
    one = batch(engine, "cash", [("I0", 0, (1.0,))])
    engine.apply([replace(one, as_of=np.array([morning]), submitted_at=np.array([morning + 60]))])
    assert engine.tick(morning + 1800).transitions == []
    (late,) = engine.tick(parse_instant("2025-03-14T09:00:00Z")).transitions
    assert (late.state, late.as_of) == ("firing", "2025-03-14T08:00:00Z")
    again = replace(one, as_of=np.array([morning + 19_800]), submitted_at=np.array([morning + 30_000]))
    assert [t.state for t in engine.apply([again]).transitions] == ["resolved"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (CASH.replace("15:30", "25:30"), r"'times' can't be '25:30' \(times of day in quotes: '09:30'\)"),
        (CASH.replace("intraday", "daily"), "only intraday forms have 'times'"),
        (CASH.replace("30min", "1bd"), "an intraday form is due after hours or minutes"),
    ],
)
def test_what_can_t_be_a_calendar_is_said(made: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        catalogue(made)


def test_an_unknown_time_zone_is_said() -> None:
    with pytest.raises(CatalogueError, match="there is no time zone 'Asia/Peking'"):
        catalogue(zone="Asia/Peking")


@pytest.mark.parametrize(
    ("deadline", "zone", "last"),
    [
        ((5, "bd"), "UTC", "2025-02-10"),
        ((10, "d"), "UTC", "2025-02-06"),
        ((10, "d"), "Asia/Shanghai", "2025-02-07"),
        ((24, "h"), "Asia/Shanghai", "2025-01-28T20:00:00Z"),
    ],
)
def test_until_when_to_act(deadline: tuple[int, str], zone: str, last: str) -> None:
    """Seen at 20:00 UTC on Monday 27 January 2025, which is the 28th in Shanghai; the holidays end on 4 February.

    Saturday the 8th is a make-up working day (国办发明电〔2024〕12号).
    """
    assert act_by(deadline, parse_instant("2025-01-27T20:00:00Z"), "CN", zone) == last


def test_the_alert_says_until_when_while_it_tells_of_something_graver() -> None:
    rule = "  - {id: r, levels: {watch: x < 2, warning: x < 1}, deadline: 5bd, unless: y > 2}\n"
    engine = Engine(program(rule), institutions(1))
    values = [(1.5, 1, 1), (0.5, 1, 1), (1.5, 1, 1), (1.5, 3, 1), (1.5, 1, 1), (3, 1, 1)]
    told = [
        (t.state, bool(t.due))
        for day, value in enumerate(values)
        for t in engine.apply([batch(engine, "q", [("I0", 20_000 + 91 * day, value)])]).transitions
    ]
    assert told == [
        ("firing", True), ("escalated", True), ("eased", False), ("suppressed", False), ("released", True),
        ("resolved", False),
    ]  # fmt: skip
