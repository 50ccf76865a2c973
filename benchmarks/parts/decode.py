"""Decoding alone: batches of filings in each encoding into columns, as a worker does it. No Kafka.

Beside each stands what its library alone costs for the same bytes, in turns with it: the least it could take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pyarrow as pa
import simdjson

from benchmarks.rows import Row, repeated
from benchmarks.setting import Setting
from guanlan.synthetic.wide import Wide, wide_filings
from rules.catalogue import parse_catalogues
from streams.decode import Decoder
from streams.encodings import Encoding
from streams.skimming import COMPILED

WIDTHS = (200, 2_000)
BATCH_VALUES = 400_000  # values of one batch: 2,000 small filings, or 200 large ones
BATCHES = 8
LIBRARY = {Encoding.JSON: "msgspec", Encoding.ARRAY: "simdjson", Encoding.ARROW: "pyarrow"}
REACH = {(Encoding.JSON, 2_000): 84.0, (Encoding.ARRAY, 2_000): 23.0, (Encoding.ARROW, 2_000): 6.0}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield processor time a filing for each encoding and width; rates are in the details."""
    batches = BATCHES // (4 if setting.quick else 1)
    for width in WIDTHS:
        for encoding in Encoding:
            yield from decoding(encoding, width, batches, setting.runs)
    if COMPILED.wait():
        for width in WIDTHS:
            yield next(decoding(Encoding.JSON, width, batches, setting.runs, ", compiled"))


def decoding(encoding: Encoding, width: int, batches: int, runs: int, how: str = "") -> Iterator[Row]:
    """Decode filings of `width` values with keys and headers, so many batches a run; and by the library alone."""
    size = BATCH_VALUES // width
    wide = wide_filings(institutions=size, indicators=width, filings=batches * size)
    decoder = Decoder(parse_catalogues([(wide.catalogue, "wide.yaml")]))
    records = list(wide.records(encoding))
    values = [r.value for r in records]
    keys = [r.key.encode() for r in records]
    headers = [tuple(encoding.headers)] * len(records)
    alone = _library(encoding, wide)

    def whole() -> None:
        for begin in range(0, len(values), size):
            end = begin + size
            decoded = decoder.decode(values[begin:end], keys[begin:end], headers[begin:end])
            assert sum(map(len, decoded.forms)) == end - begin

    def least() -> None:
        for value in values:
            alone(value)

    turns = [(repeated(whole, 1)[0], repeated(least, 1)[0]) for _ in range(runs)]
    name = f"{encoding}, {width:,} values{how}"
    bytes_ = round(sum(map(len, values)) / len(values))
    for told, found in zip((name, f"{name}: {LIBRARY[encoding]} alone"), zip(*turns, strict=True), strict=True):
        filings = [len(values) / run.seconds for run in found]
        yield Row(
            "decode",
            told,
            "µs/filing",
            [1e6 * run.cpu / len(values) for run in found],
            better="less",
            cpu=[run.cpu for run in found],
            reach=REACH.get((encoding, width)) if told == name else None,
            detail={
                "filings/s": [round(rate) for rate in filings],
                "million values/s": [round(rate * width / 1e6, 2) for rate in filings],
                "bytes a filing": bytes_,
            },
        )


def _library(encoding: Encoding, wide: Wide) -> Callable[[bytes], object]:
    """Return what reads one record and nothing else."""
    if encoding is Encoding.JSON:
        names = {f"v{i}": name for i, name in enumerate(wide.indicators)}
        values = msgspec.defstruct("Values", [(field, float | None, None) for field in names], rename=names, gc=False)
        parse = msgspec.json.Decoder(msgspec.defstruct("Filing", [("values", values)], gc=False)).decode
        return lambda record: parse(record) and None
    if encoding is Encoding.ARRAY:
        parser, opening = simdjson.Parser(), b'"values":['
        return lambda record: (
            parser.parse(record[record.index(opening) + 9 : record.rindex(b"]") + 1].replace(b"null", b"0.12"))
            .as_buffer(of_type="d")
            .size
        )
    return lambda record: pa.ipc.open_stream(record).read_all().column(0).to_numpy()
