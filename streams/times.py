"""Times of records as they were written: as-of dates by their form, days, and submission times; remembered.

A batch has few of them, many times over, so each text is read once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rules.calendar import seconds
from rules.catalogue import Form
from rules.periods import as_of_seconds, written_day
from streams.wire import to_seconds

_REMEMBERED = 100_000


class Times(dict[str, int]):
    """From a text to its seconds since the epoch, as `read` reads it; raises ValueError where `read` does.

    >>> Times()["1970-01-02"]
    86400
    """

    def __init__(self, read: Callable[[str], int] = to_seconds) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> int:
        found = self._read(text)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = found
        return found


class AsOfTimes(Times):
    """From the as-of of a form's filing, as it was written, to seconds; raises ValueError for what the form has not."""

    def __init__(self, form: Form) -> None:
        super().__init__(partial(read_as_of, form))


def read_as_of(form: Form, text: str) -> int:
    """Return the seconds since the epoch of a filing's as-of; raise ValueError where the form has no such one."""
    to_seconds(text)
    return as_of_seconds(form, text)


def read_day(text: str) -> int:
    """Return the seconds since the epoch, at midnight UTC, of a date or of midnight of any offset.

    >>> read_day("1970-01-02T00:00:00+08:00")
    86400

    Raises ValueError for anything else.
    """
    to_seconds(text)
    return seconds(written_day(text))
