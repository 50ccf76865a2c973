"""Scores of institutions from a CSV that another command printed."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from guanlan.decimals import plain_number
from rules.problems import ConfigError, InputError, nearest


def read(text: str, key: str) -> dict[str, float]:
    """Read `FILE.csv:COLUMN`, or `FILE.csv:-COLUMN` with the sign turned, by the column `key`.

    Of several rows of the same name the last counts; a score that is not known is left out. InputError says what is
    wrong with the file.
    """
    name, colon, column = text.rpartition(":")
    if not colon or not column.lstrip("-"):
        raise ConfigError(f"a measure is FILE.csv:COLUMN, not {text!r}")
    sign = -1.0 if column.startswith("-") else 1.0
    column = column.removeprefix("-")
    try:
        with Path(name).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            for wanted in (key, column):
                if wanted not in (reader.fieldnames or ()):
                    fix = nearest(wanted, reader.fieldnames or ())
                    raise InputError(f"{name} has no column {wanted!r}. {fix}".strip())
            found = {row[key]: _number(name, reader.line_num, row[column], column) for row in reader}
    except OSError as err:
        raise InputError(f"{name} can't be read: {err.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as err:
        raise InputError(f"{name} is not a CSV in UTF-8: {err}") from None
    return {code: sign * score for code, score in found.items() if math.isfinite(score)}


def _number(name: str, line: int, cell: str | None, column: str) -> float:
    if not (cell or "").strip():
        return math.nan
    try:
        return plain_number(cell or "")
    except ValueError as err:
        raise InputError(f"{name}:{line}: {column} {err}") from None
