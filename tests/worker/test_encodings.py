"""Filings in every encoding through a real broker and a worker."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from streams.encode import recode
from streams.encodings import Encoding, encoding_of
from tests.worker.field import Field, Sent, direct, load, program_of, until

pytestmark = pytest.mark.needs("kafka")


@pytest.mark.parametrize("kinds", [[Encoding.ARRAY], [Encoding.ARROW], list(Encoding)], ids=["array", "arrow", "mixed"])
def test_the_encoding_makes_no_difference_to_alerts(field: Field, kinds: list[Encoding]) -> None:
    """Transitions are those of the same filings as JSON by name; what is refused keeps its bytes and its header."""
    wide, records = load(institutions=20, filings=400)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    sent = []
    for i, record in enumerate(records):
        kind = kinds[i % len(kinds)]
        sent.append(Sent(record.key, recode(record.value, wide.indicators, kind), kind.headers))
    bad = {**msgspec.json.decode(records[-1].value), "as_of": "2199-01-01"}
    refused = recode(msgspec.json.encode(bad), wide.indicators, kinds[0])
    field.prepare(wide.institutions)
    field.send([*sent, Sent(records[-1].key, refused, kinds[0].headers)])

    async def run() -> None:
        async with field.worker(program):
            await until(field.caught_up)

    asyncio.run(run())
    assert expected.transitions
    assert field.transitions() == expected.transitions
    ((told, kept),) = field.rejected()
    assert (told["reason"], kept.value) == ("as_of_in_future", refused)
    assert encoding_of(kept.headers) == kinds[0]
