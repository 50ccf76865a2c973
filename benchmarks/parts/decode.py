"""Decoding alone: batches of filings in each encoding into columns, as a worker does it. No Kafka."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row, repeated
from benchmarks.setting import Setting
from guanlan.synthetic.wide import wide_filings
from rules.catalogue import parse_catalogues
from streams.decode import Decoder
from streams.encodings import Encoding

WIDTHS = (200, 2_000)
BATCH_VALUES = 400_000  # values of one batch: 2,000 small filings, or 200 large ones
BATCHES = 8
REACH = {(Encoding.JSON, 2_000): 84.0, (Encoding.ARRAY, 2_000): 23.0, (Encoding.ARROW, 2_000): 6.0}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield processor time a filing for each encoding and width; rates are in the details."""
    for width in WIDTHS:
        for encoding in Encoding:
            yield decoding(encoding, width, BATCHES // (4 if setting.quick else 1), setting.runs)


def decoding(encoding: Encoding, width: int, batches: int, runs: int) -> Row:
    """Decode filings of `width` values with keys and headers, so many batches a run."""
    size = BATCH_VALUES // width
    wide = wide_filings(institutions=size, indicators=width, filings=batches * size)
    decoder = Decoder(parse_catalogues([(wide.catalogue, "wide.yaml")]))
    records = list(wide.records(encoding))
    values = [r.value for r in records]
    keys = [r.key.encode() for r in records]
    headers = [encoding.headers] * len(records)

    def work() -> int:
        accepted = 0
        for begin in range(0, len(values), size):
            end = begin + size
            decoded = decoder.decode(values[begin:end], keys[begin:end], headers[begin:end])
            accepted += sum(map(len, decoded.forms))
        assert accepted == len(values)
        return accepted

    found = repeated(work, runs)
    filings = [len(values) / run.seconds for run in found]
    detail = {
        "filings/s": [round(rate) for rate in filings],
        "million values/s": [round(rate * width / 1e6, 2) for rate in filings],
        "bytes a filing": round(sum(map(len, values)) / len(values)),
    }
    return Row(
        "decode",
        f"{encoding}, {width:,} values",
        "µs/filing",
        [1e6 * run.cpu / len(values) for run in found],
        better="less",
        cpu=[run.cpu for run in found],
        reach=REACH.get((encoding, width)),
        detail=detail,
    )
