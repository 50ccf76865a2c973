"""Reporting calendars: which filing is expected when, over weekends, holidays and the turn of the year."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.calendar import (
    DAY,
    deadlines,
    due,
    expected,
    format_instant,
    has_deadline,
    parse_instant,
    seconds,
)
from rules.catalogue import FREQUENCY_DAYS, Form
from rules.working_days import is_business_day


def form(frequency: str, deadline: str) -> Form:
    return Form("f", {}, frequency, deadline)


def day(text: str) -> int:
    return seconds(date.fromisoformat(text))


def told(found: tuple[int, int] | None) -> tuple[str, str] | None:
    return None if found is None else (format_instant(found[0]), format_instant(found[1]))


class TestDue:
    """Overdue from the second after the last one in time."""

    def test_calendar_days(self) -> None:
        assert due(form("quarterly", "20d"), date(2025, 3, 31)) == day("2025-04-21")

    def test_hours_after_the_end_of_the_day(self) -> None:
        assert due(form("daily", "6h"), date(2025, 3, 31)) == day("2025-04-01") + 6 * 3600

    def test_business_days_leave_weekends_out(self) -> None:
        """From Friday the 14th: Monday is the first, Tuesday the second."""
        assert due(form("daily", "2bd"), date(2025, 3, 14)) == day("2025-03-19")

    def test_business_days_leave_chinese_holidays_out(self) -> None:
        """The Spring Festival of 2025 closed 28 January to 4 February."""
        assert due(form("daily", "1bd"), date(2025, 1, 27)) == day("2025-02-06")

    def test_other_countries_have_other_holidays(self) -> None:
        assert due(form("daily", "1bd"), date(2025, 7, 3), "US") == day("2025-07-08")
        assert due(form("daily", "1bd"), date(2025, 7, 3), "CN") == day("2025-07-05")

    def test_without_a_deadline_it_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no deadline"):
            due(form("daily", ""), date(2025, 1, 1))


class TestExpected:
    @pytest.mark.parametrize(
        ("now", "found"),
        [
            ("2025-04-20", ("2025-01-21", "2024-12-31")),
            ("2025-04-21", ("2025-04-21", "2025-03-31")),
            ("2025-07-20", ("2025-04-21", "2025-03-31")),
            ("2026-01-20", ("2025-10-21", "2025-09-30")),
        ],
    )
    def test_quarters(self, now: str, found: tuple[str, str]) -> None:
        assert told(expected(form("quarterly", "20d"), day(now))) == found

    def test_a_year_with_a_deadline_of_four_months(self) -> None:
        """On 1 March 2025 the report for 2024 is not due yet; the one expected is that for 2023."""
        assert told(expected(form("yearly", "120d"), day("2025-03-01"))) == ("2024-04-30", "2023-12-31")

    def test_a_year_with_the_longest_deadline(self) -> None:
        assert told(expected(form("yearly", "999d"), day("2025-03-01"))) == ("2024-09-26", "2021-12-31")

    def test_days_are_business_days(self) -> None:
        """On Sunday night the filing of Friday, due on Monday, is not late yet."""
        daily = form("daily", "1bd")
        assert told(expected(daily, day("2025-03-17"))) == ("2025-03-15", "2025-03-13")
        assert told(expected(daily, day("2025-03-18"))) == ("2025-03-18", "2025-03-14")

    def test_a_week_that_ends_in_a_holiday_is_expected_after_it(self) -> None:
        """Friday 3 October 2025 lies in the golden week; five business days begin on the 9th, the 11th with them."""
        assert told(expected(form("weekly", "5bd"), day("2025-10-16"))) == ("2025-10-15", "2025-10-03")

    def test_weeks_end_on_friday(self) -> None:
        assert told(expected(form("weekly", "1d"), day("2025-03-17"))) == ("2025-03-16", "2025-03-14")

    def test_months_and_half_years(self) -> None:
        assert told(expected(form("monthly", "5d"), day("2024-03-06"))) == ("2024-03-06", "2024-02-29")
        assert told(expected(form("half-yearly", "60d"), day("2025-08-01"))) == ("2025-03-02", "2024-12-31")


FORMS = st.builds(
    form,
    st.sampled_from([f for f in FREQUENCY_DAYS if f != "intraday"]),
    st.builds("{}{}".format, st.integers(0, 200), st.sampled_from(["d", "bd", "h"])),
)
MOMENTS = st.integers(day("2022-01-01"), day("2026-12-31"))


@given(FORMS, MOMENTS)
def test_what_is_expected_is_the_latest_that_is_due(made: Form, now: int) -> None:
    """Looked for day by day, among the ends of the form's periods."""
    found = expected(made, now)
    assert found is not None
    due_at, as_of = found
    assert due_at <= now
    assert due(made, date(1970, 1, 1) + timedelta(days=as_of // DAY)) == due_at
    following = [end for end in range(as_of + DAY, as_of + 367 * DAY, DAY) if _is_end(made, end)]
    assert all(due(made, _date(end)) > now for end in following[:3])


def _date(instant: int) -> date:
    return date(1970, 1, 1) + timedelta(days=instant // DAY)


def _is_end(made: Form, instant: int) -> bool:
    today, tomorrow = _date(instant), _date(instant + DAY)
    if made.frequency == "daily":
        return is_business_day(today)
    if made.frequency == "weekly":
        return today.weekday() == 4
    months = {"monthly": 1, "quarterly": 3, "half-yearly": 6, "yearly": 12}[made.frequency]
    return today.month != tomorrow.month and today.month % months == 0


@given(FORMS, MOMENTS, MOMENTS)
def test_deadlines_are_each_expected_once_in_order(made: Form, a: int, b: int) -> None:
    after, until = sorted((a, b))
    after = max(after, until - 400 * DAY)
    found = deadlines(made, after, until)
    assert found == sorted(set(found))
    assert all(after < moment <= until for moment, _ in found)
    assert all(expected(made, moment) == (moment, as_of) for moment, as_of in found)
    last = expected(made, until)
    assert (found[-1:] == [last]) == (last is not None and last[0] > after)


@pytest.mark.parametrize("text", ["", "20", "d", "-5d", "20 days", "1000d", "5db"])
def test_what_is_no_deadline(text: str) -> None:
    assert not has_deadline(form("quarterly", text))


def test_intraday_forms_without_times_have_none() -> None:
    assert not has_deadline(form("intraday", "1h"))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-03-31", day("2025-03-31")),
        ("2025-03-31T10:15:00Z", day("2025-03-31") + 36_900),
        ("2025-03-31T10:15:00", day("2025-03-31") + 36_900),
        ("2025-03-31T10:15:00+08:00", day("2025-03-31") + 8_100),
        ("1969-12-31", -DAY),
    ],
)
def test_instants_are_read_as_utc(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize("text", ["", "today", "2025-02-30", "2025-13-01", "31.03.2025", "20250331T", "2025-3-31"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_instant(text)


@given(st.integers(day("1900-01-01"), day("2200-01-01")))
def test_instants_are_written_as_they_are_read(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant
