"""Releases of rules: the topic `rules`, how a release gets there, and which one is in force.

A release is one record with all packs, so that packs which refer to each other change together. Every release has a
key of its own, so the topic keeps them all: it says who published what and when, and a worker finds the newest that
compiles even if the last one does not. What is in force does not depend on keys but on the order of the records.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from rules.pack import PackText, Program
from rules.problems import GuanlanError, InputError
from streams.clients import read_to_end
from streams.publish import Parcel, Publisher
from streams.topics import LARGEST_RELEASE

log = logging.getLogger("guanlan.worker")

DIGITS = 12

Compile = Callable[[Sequence[PackText]], Program]


class Text(msgspec.Struct, frozen=True):
    """A pack as it was published: what messages call its file, its text, and the text of the tests beside it."""

    file: str
    text: str
    tests: str = ""


class Release(msgspec.Struct, frozen=True):
    """Packs that are in force together from `published_at` on, who wrote and who approved them.

    version: 1 for the first, and so on. hash: of the packs' files and texts.
    """

    version: int
    hash: str
    author: str
    approver: str
    published_at: str
    packs: tuple[Text, ...]

    @property
    def texts(self) -> list[PackText]:
        """The packs, to be compiled."""
        return [PackText(pack.text, pack.file) for pack in self.packs]

    def __str__(self) -> str:
        return f"release {self.version} ({self.hash})"


def hash_of(packs: Iterable[Text]) -> str:
    """Return the hash of packs: of files and texts, in order, and not of tests."""
    whole = msgspec.json.encode([(pack.file, pack.text) for pack in packs])
    return hashlib.sha256(whole).hexdigest()[:DIGITS]


def rules_hash(program: Program) -> str:
    """Return a hash of a program that no release gave: of its rules."""
    whole = "\n".join(f"{rule.id} {rule.hash}" for rule in program.rules)
    return hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]


def decode_release(value: bytes | None) -> Release:
    """Return the release in a record's value; raise InputError for what is none."""
    if value is None:
        raise InputError("a record without a value is no release")
    try:
        release = msgspec.json.decode(value, type=Release)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise InputError(f"a record is no release: {err}") from None
    if release.hash != hash_of(release.packs):
        raise InputError(f"{release}: its packs have the hash {hash_of(release.packs)}")
    if is_same(release.author, release.approver):
        raise InputError(f"{release}: author and approver are the same, {release.author!r}")
    return release


def is_same(author: str, approver: str) -> bool:
    """Say whether two names are one person's, however they are spaced and capitalised.

    >>> is_same("Wang Wei", "wang  wei"), is_same("Wang Wei", "Li Na")
    (True, False)
    """
    one, other = (" ".join(name.split()).casefold() for name in (author, approver))
    return one == other


def read_releases(bootstrap: str, topic: str) -> list[tuple[int, Release]]:
    """Return all releases of the topic with their offsets, oldest first; what is none is passed over.

    Raises ServiceError when the broker does not answer.
    """
    found = []
    for record in read_to_end(bootstrap, topic):
        try:
            found.append((record.offset, decode_release(record.value)))
        except InputError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class InForce:
    """A release that compiles, what it compiles to, and its offset."""

    release: Release
    program: Program
    offset: int


def in_force(bootstrap: str, topic: str, compile_: Compile) -> InForce | None:
    """Return the newest release of the topic that compiles; None where there is none. Raises ServiceError."""
    for offset, release in reversed(read_releases(bootstrap, topic)):
        try:
            return InForce(release, compile_(release.texts), offset)
        except GuanlanError:
            continue
    return None


def publish(bootstrap: str, topic: str, release: Release) -> None:
    """Write a release to the topic, where every worker takes it up.

    Raises InputError for one that is no release or too large, ServiceError when the broker does not take it.
    """
    value = msgspec.json.encode(release)
    decode_release(value)
    with Publisher(bootstrap, topic) as publisher:
        refused = publisher.deliver([Parcel(0, f"{release.version}-{release.hash}".encode(), value)])
    if refused:
        raise InputError(
            f"the release has {len(value):,} bytes, more than the topic {topic!r} takes: run guanlan topics create,"
            f" which allows {LARGEST_RELEASE:,}"
        )
