"""How much of a file is read at most: what is beyond is refused in one sentence, before it fills the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from rules.problems import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one file.

    `unpacked_bytes` counts what comes out of gzip, or of the parts of a workbook; `part_bytes` one part of a workbook
    that is held in memory (its table of texts). `line_bytes` is one line of text, `cell_characters` one cell. `columns`
    counts those of a table or the keys of a line of JSON. A cell counts where it stands, empty or not.
    """

    unpacked_bytes: int = 16 << 30
    part_bytes: int = 128 << 20
    line_bytes: int = 128 << 20
    cell_characters: int = 131_072
    rows: int = 50_000_000
    columns: int = 250_000
    cells: int = 2_000_000_000


LIMITS = Limits()


def over(path: object, what: str, limit: int, cure: str = "split the file") -> NoReturn:
    """Raise InputError: the file has more than `limit` of `what`.

    >>> over("f.csv", "rows", 1000)
    Traceback (most recent call last):
    rules.problems.InputError: f.csv: has more than 1,000 rows; split the file
    """
    raise InputError(f"{path}: has more than {limit:,} {what}; {cure}")
