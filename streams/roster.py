"""The institutions a worker knows: read from the compacted topic before agents start, and followed from then on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable

from aiokafka import ConsumerRecord

from rules.registry import Institution
from streams.follower import Follower
from streams.registry import RESERVED, decode_institution

log = logging.getLogger("guanlan.worker")

Changed = Callable[[Institution], Awaitable[None]]
Gone = Callable[[str], Awaitable[None]]


class Roster(Follower):
    """Institutions by code, kept up to date.

    `changed` and `gone` are awaited for every institution that is new or different, and for every code that
    left, once `follow` runs.
    """

    def __init__(self, bootstrap: str, topic: str, institutions: Iterable[Institution] = ()) -> None:
        super().__init__(bootstrap, topic, "the registry of institutions", self._put)
        self.institutions = {i.code: i for i in institutions}
        self.changed: Changed = _ignore
        self.gone: Gone = _ignore

    def __contains__(self, code: str) -> bool:
        return code in self.institutions

    async def _put(self, record: ConsumerRecord) -> None:
        code = (record.key or b"").decode("utf-8", "replace")
        institution = decode_institution(record.value)
        if institution is not None and institution.code == code and code not in RESERVED:
            if self.institutions.get(code) != institution:
                self.institutions[code] = institution
                await self.changed(institution)
        elif record.value is None:
            if self.institutions.pop(code, None) is not None:
                await self.gone(code)
        else:
            log.warning("passed over a record of %s that is no institution: key %r", record.topic, code)


async def _ignore(_: object) -> None:
    """Do nothing: nobody asked to be told."""
