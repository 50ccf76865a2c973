"""The command line, run inside the test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guanlan.cli import main

Run = Callable[..., int]


@pytest.fixture
def guanlan(monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs `guanlan` with these words and returns its exit code."""

    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["guanlan", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run
