"""Tables from Parquet: a batch of rows at a time, texts of a dictionary decoded once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rules.problems import InputError
from streams.limits import Limits, over
from streams.opening import guard, opened
from streams.tables import Row, Table

ROWS = 1_024


def read_parquet(path: Path, limits: Limits) -> Table:
    """Open a Parquet file. Its footer says how much there is, so what is too much is refused unread."""
    rows = _rows(path, limits)
    return Table(path, next(rows), rows)  # type: ignore[arg-type]


def _rows(path: Path, limits: Limits) -> Iterator[Any]:
    """Yield the names of the columns, then the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with guard(path), opened(path, limits, seekable=True) as source:
        told = pq.read_metadata(source)
        for what, count, most in (
            ("columns", told.num_columns, limits.columns),
            ("rows", told.num_rows, limits.rows),
            ("cells", told.num_rows * told.num_columns, limits.cells),
            ("bytes unpacked", sum(_sizes(told)), limits.unpacked_bytes),
        ):
            if count > most:
                over(path, what, most)
        source.seek(0)
        texts = [
            field.name
            for field in told.schema.to_arrow_schema()
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        file = pq.ParquetFile(source, read_dictionary=texts, page_checksum_verification=True)
        columns = tuple(file.schema_arrow.names)
        yield columns
        number = 0
        for batch in file.iter_batches(batch_size=ROWS):
            cells = [_cells(path, name, column, limits) for name, column in zip(columns, batch.columns, strict=True)]
            for row in zip(*cells, strict=True):
                number += 1
                yield Row(number, dict(zip(columns, row, strict=True)))


def _sizes(told: Any) -> Iterator[int]:
    for number in range(told.num_row_groups):
        yield told.row_group(number).total_byte_size


def _cells(path: Path, name: str, column: Any, limits: Limits) -> list[Any]:
    import pyarrow as pa

    try:
        if not pa.types.is_dictionary(column.type):
            return column.to_pylist()
        words = column.dictionary.to_pylist()
        places = column.indices.to_pylist()
    except (OverflowError, ValueError) as err:
        raise InputError(f"{path}: the column {name!r} has a cell that can't be read: {err}") from None
    if any(isinstance(word, str) and len(word) > limits.cell_characters for word in words):
        over(path, f"characters in a cell of the column {name!r}", limits.cell_characters)
    return [None if place is None else words[place] for place in places]
