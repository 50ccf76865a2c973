"""What every part of the benchmark gets: how large and how often, and brokers that are started when first wanted."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from benchmarks.jobs import LARGE, SECTOR, SMALL, Job, quick
from benchmarks.stage import broker


@dataclass(slots=True)
class Setting:
    """`quick` makes everything a fifth as large; `runs` is how often each thing is measured."""

    quick: bool = False
    runs: int = 3
    brokers: dict[str, tuple[str, str]] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def kafka(self, kind: str = "apache") -> str:
        """Return the address of a broker of that kind ("apache", "embedded"), started now if it is not running."""
        if kind not in self.brokers:
            self.brokers[kind] = self._stack.enter_context(broker(kind))
        return self.brokers[kind][0]

    def job(self, job: Job) -> Job:
        """The job in the size wanted."""
        return quick(job) if self.quick else job

    @property
    def small(self) -> Job:
        """Small filings."""
        return self.job(SMALL)

    @property
    def large(self) -> Job:
        """Large filings."""
        return self.job(LARGE)

    @property
    def sector(self) -> Job:
        """The whole sector, once."""
        return self.job(SECTOR)
