"""Filings as Arrow IPC streams: how one is written, and how one is read without trust.

A filing is a stream of one record batch with one column, `values`, float64, a row for each indicator in the
form's order; a value that is missing is null. The schema's metadata holds the rest: `institution`, `form`,
`version`, `as_of`, `submitted_at`, and where there are such `revision` (digits), `meta` and `confirms` (JSON objects).
`pandas` and `R`, which their libraries write, are ignored.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMN = "values"
IGNORED = ("pandas", "r", "R")

_DIGITS = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_VALUES = pa.float64()


class ArrowProblem(ValueError):
    """What is wrong with bytes that should be a filing as an Arrow stream; `shape` if they are one at all."""

    def __init__(self, detail: str, shape: bool = False) -> None:
        super().__init__(detail)
        self.shape = shape


class Unpacked(NamedTuple):
    """A filing out of its stream: its head with the names of the wire, its column, and all metadata as they are."""

    head: dict[str, Any]
    values: Any
    metadata: Mapping[bytes, bytes]


def write(head: Mapping[str, Any], values: Sequence[float | None]) -> bytes:
    """Return a filing as an Arrow stream; `head` is everything but the values, by the names of the wire."""
    told = {name: value for name, value in head.items() if value is not None}
    texts = {k: v if isinstance(v, str | bytes) else msgspec.json.encode(v) for k, v in told.items()}
    return stream(texts, pa.array(values, _VALUES))


def stream(metadata: Mapping[Any, Any], column: Any, name: str = COLUMN) -> bytes:
    """Return an Arrow stream of one record batch with one column."""
    schema = pa.schema([pa.field(name, column.type)], metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch([column], schema=schema))
    return bytes(sink.getvalue().to_pybytes())


def unpack(record: bytes) -> Unpacked:
    """Read a filing from an Arrow stream; its values stay in the record's memory.

    Raises ArrowProblem when the bytes are no stream of one uncompressed column of float64 in one batch.
    """
    source = pa.BufferReader(record)
    try:
        reader = pa.ipc.MessageReader.open_stream(source)
        message = reader.read_next_message()
        if message.type != "schema":  # pyarrow ends the process when it is asked for the schema of another message
            raise ArrowProblem(f"the stream begins with a {message.type}, not a schema")
        schema = pa.ipc.read_schema(message)
        _check(schema)
        message = reader.read_next_message()
        if message.type != "record batch":
            raise ArrowProblem(f"after the schema comes a {message.type}, not a record batch", shape=True)
        if _is_compressed(message.metadata.to_pybytes()):
            raise ArrowProblem("the record batch is compressed; filings are not, Kafka compresses them", shape=True)
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
        _check_end(reader, source, len(record))
        metadata = schema.metadata or {}
        return Unpacked(_head(metadata), batch.column(0), metadata)
    except StopIteration:
        raise ArrowProblem("the stream ends before its record batch") from None
    except (pa.ArrowException, struct.error, OSError, UnicodeDecodeError) as err:
        said = (str(err) or type(err).__name__).splitlines()[0][:200]
        raise ArrowProblem(f"the bytes are no Arrow stream ({said})") from None


def numbers(column: Any) -> npt.NDArray[np.float64]:
    """Return a column of float64 as an array, NaN where it is null. pyarrow's own way would load pandas."""
    validity, data = column.buffers()
    span = slice(column.offset, column.offset + len(column))
    values = np.frombuffer(data or b"", np.float64, span.stop)[span].copy()
    if column.null_count:
        values[np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[span] == 0] = np.nan
    return values


def _check(schema: Any) -> None:
    if schema.names != [COLUMN] or schema.field(0).type != _VALUES:
        told = ", ".join(f"{field.name}: {field.type}" for field in schema)[:120] or "none"
        raise ArrowProblem(f"the stream has the columns ({told}); a filing has one, {COLUMN}: double", shape=True)


def _check_end(reader: Any, source: Any, size: int) -> None:
    try:
        reader.read_next_message()
    except StopIteration:
        if source.tell() != size:
            raise ArrowProblem("bytes stand behind the end of the stream", shape=True) from None
    else:
        raise ArrowProblem("the stream has more than one record batch; a filing is one", shape=True)


def _head(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the metadata by name; `meta` stays a text, and so does a revision that is no number."""
    head: dict[str, Any] = {name.decode(): value.decode() for name, value in metadata.items()}
    for name in IGNORED:
        head.pop(name, None)
    if _DIGITS.fullmatch(head.get("revision", "")):
        head["revision"] = int(head["revision"])
    return head


def _is_compressed(message: bytes) -> bool:
    """Whether a record batch's message says that its buffers are compressed: its field 3 (Arrow's Message.fbs).

    What decompresses into more memory than there is must be seen before it is read.
    """
    root = struct.unpack_from("<I", message, 0)[0]
    header = _field(message, root, 2)
    batch = header + struct.unpack_from("<I", message, header)[0]
    return bool(_field(message, batch, 3))


def _field(message: bytes, table: int, slot: int) -> int:
    """Return where a field of a flatbuffer's table stands, 0 if it is not there."""
    places = table - struct.unpack_from("<i", message, table)[0]
    size = struct.unpack_from("<H", message, places)[0]
    if 4 + 2 * slot >= size:
        return 0
    offset = struct.unpack_from("<H", message, places + 4 + 2 * slot)[0]
    return table + int(offset) if offset else 0
