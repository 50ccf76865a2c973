"""Times of filings, remembered: a batch has few of them, many times over."""

from __future__ import annotations

from streams.wire import to_seconds

_REMEMBERED = 100_000


class Times(dict[str, int]):
    """From a date or an instant to its seconds since the epoch; raises ValueError for anything else.

    >>> Times()["1970-01-02"]
    86400
    """

    def __missing__(self, text: str) -> int:
        seconds = to_seconds(text)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = seconds
        return seconds
