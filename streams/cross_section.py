"""The topic `cross-section`: columns of filings that watch agents pass on to the system agent.

Only indicators that system rules and measures read are passed on. A record is MessagePack, its numbers raw
little-endian columns: nobody outside the worker needs to read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules.engine import FormBatch
from rules.pack import Program, rule_nodes
from rules.plan import walk
from rules.problems import InputError

BYTES = 500_000


class Slice(msgspec.Struct, frozen=True, array_like=True):
    """Filings of one form, n of them, reduced to some of its k indicators; columns as bytes.

    as_of, submitted_at: int64 seconds. revision: int32. values: float64 [len(indicators), n], NaN missing.
    """

    form: str
    indicators: tuple[str, ...]
    codes: list[str]
    as_of: bytes
    submitted_at: bytes
    revision: bytes
    values: bytes

    @classmethod
    def of(
        cls, batch: FormBatch, codes: Sequence[str], indicators: tuple[str, ...], values: NDArray[np.float64]
    ) -> Iterator[Slice]:
        """Cut a batch into slices of bounded size. values: float64 [len(indicators), n]."""
        step = max(1, BYTES // (8 * (len(indicators) + 4)))
        for begin in range(0, len(codes), step):
            part = slice(begin, begin + step)
            yield cls(
                batch.form,
                indicators,
                list(codes[part]),
                _bytes(batch.as_of[part], "<i8"),
                _bytes(batch.submitted_at[part], "<i8"),
                _bytes(batch.revision[part], "<i4"),
                _bytes(values[:, part], "<f8"),
            )

    def encode(self) -> bytes:
        """Return the record's value."""
        return msgspec.msgpack.encode(self)

    def batch(self, reported: Sequence[str], rows: NDArray[np.int32], sequence: int) -> FormBatch:
        """Return the filings as the engine takes them, numbered from `sequence`.

        They carry no offset: the same filing may come twice, and is known by its date and revision.
        """
        n = len(self.codes)
        values = np.full((len(reported), n), np.nan)
        columns = np.frombuffer(self.values, "<f8").reshape(len(self.indicators), n)
        for indicator, column in zip(self.indicators, columns, strict=True):
            if indicator in reported:
                values[reported.index(indicator)] = column
        return FormBatch(
            self.form,
            rows,
            np.frombuffer(self.as_of, "<i8").astype(np.int64),
            np.frombuffer(self.submitted_at, "<i8").astype(np.int64),
            np.frombuffer(self.revision, "<i4").astype(np.int32),
            np.full(n, -1, np.int64),
            np.arange(sequence, sequence + n, dtype=np.int64),
            values,
        )


def decode_slice(value: bytes | None) -> Slice:
    """Return the slice in a record's value; raise InputError with what is wrong with anything else."""
    try:
        found = _DECODER.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        raise InputError(f"the record holds no columns of filings: {err}") from None
    n, k = len(found.codes), len(found.indicators)
    for name, size in (("as_of", 8 * n), ("submitted_at", 8 * n), ("revision", 4 * n), ("values", 8 * n * k)):
        held = len(getattr(found, name))
        if held != size:
            raise InputError(f"{name!r} has {held} bytes; {n} filings of {k} indicators have {size}")
    return found


def forwarded(system: Program, measured: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return, by form, the reported indicators that system rules read, and those that measures and coverage need.

    A form that a rule only asks the timeliness of is passed on without indicators.
    """
    catalogue = system.catalogue
    wanted: dict[str, set[str]] = {}
    size = [catalogue.size] if any(rule.across for rule in system.rules) else []
    for name in [*measured, *size]:
        if name in catalogue.indicators and catalogue.indicators[name].form:
            wanted.setdefault(catalogue.indicators[name].form, set()).add(name)
    for rule in system.rules:
        for form in rule.clocks:
            wanted.setdefault(form, set())
        for top in rule_nodes(rule):
            for node in walk(top):
                if node.op == "column":
                    wanted.setdefault(str(node.params[0]), set()).add(str(node.params[1]))
    return {
        form: tuple(i for i in catalogue.reported(form) if i in names)
        for form, names in wanted.items()
        if not form.startswith("measures.")
    }


_DECODER = msgspec.msgpack.Decoder(Slice)


def _bytes(column: NDArray[np.generic], kind: str) -> bytes:
    return np.ascontiguousarray(column, dtype=kind).tobytes()
