"""What `streams.columnar` relies on in Faust is there and is what it was; else these tests say what changed."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from importlib import import_module, metadata

import pytest

from streams.columnar import FAUST_VERSION, INTERNALS

RELIED_ON_BODIES = {
    "faust.app.base:App._on_partitions_revoked": "60646ada2adf3a25",
    "faust.app.base:App._stop_consumer": "fabd35b4cbfd17cf",
    "faust.tables.recovery:Recovery.on_recovery_completed": "5d0bc420d5bd907d",
    "faust.transport.consumer:Consumer._commit_offsets": "36688c00d79e3984",
    "faust.transport.consumer:Consumer._drain_messages": "e434fa9f22bd3e34",
    "faust.transport.consumer:Consumer.commit": "b807fe7d062268d0",
    "faust.transport.consumer:Consumer.getmany": "b5677b82e98d1991",
    "faust.transport.consumer:Consumer.on_partitions_revoked": "485f56bda150ff29",
    "faust.transport.consumer:Consumer.perform_seek": "5f206cbe28df6e95",
    "faust.transport.consumer:Consumer.wait_empty": "5e8b658df7093f90",
}
"""Digests of the code whose behaviour, not only whose name, matters."""


def test_the_version_is_the_one_that_was_read() -> None:
    """Faust is pinned to the version whose source this module was written against."""
    assert metadata.version("faust-streaming") == FAUST_VERSION


@pytest.mark.parametrize(("owner", "names"), sorted(INTERNALS.items()))
def test_every_internal_is_there(owner: str, names: tuple[str, ...]) -> None:
    """Every attribute that is overridden or called still exists."""
    module, _, name = owner.partition(":")
    held = getattr(import_module(module), name)
    source = inspect.getsource(held)
    missing = [n for n in names if not hasattr(held, n) and f"self.{n}" not in source]
    assert missing == []


@pytest.mark.parametrize(("place", "digest"), sorted(RELIED_ON_BODIES.items()))
def test_the_code_relied_on_is_unchanged(place: str, digest: str) -> None:
    """A change here means: read the new code, see that docs/guarantees.md still holds, then renew the digest."""
    module, _, path = place.partition(":")
    owner, _, name = path.partition(".")
    source = textwrap.dedent(inspect.getsource(getattr(getattr(import_module(module), owner), name)))
    assert hashlib.blake2b(source.encode(), digest_size=8).hexdigest() == digest


def test_topics_of_equal_partition_count_are_assigned_together() -> None:
    """Faust's assignor puts partition n of all topics with the same count on one member.

    So the changelog of a table is where its source is, and the system side gets all of its topics.
    """
    from faust.assignor.partition_assignor import PartitionAssignor

    counts = {"filings": 8, "filings.changelog": 8, "exposures": 1, "cross-section": 1, "market.quotes": 1}
    counts["system.changelog"] = 1

    class Cluster:
        def partitions_for_topic(self, topic: str) -> set[int]:
            return set(range(counts[topic]))

    topics = set(counts)
    groups = PartitionAssignor._get_copartitioned_groups(
        topics,
        Cluster(),  # type: ignore[arg-type]
        {"one": sorted(topics), "two": sorted(topics)},
    )
    found = {count: [set(group) for group in together] for count, together in groups.items()}
    single = {"exposures", "cross-section", "market.quotes", "system.changelog"}
    assert found == {8: [{"filings", "filings.changelog"}], 1: [single]}
