"""How far a command has come with sending its files, on disk: so that one that broke off can say so, and go on.

Before a piece is sent, the journal says which; once the broker has answered for all of it, that it is done. So after
any end, even a kill, at most one piece is open, and what of it is in Kafka can be read there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from rules.problems import InputError


class Progress(msgspec.Struct):
    """What a journal holds.

    `at` is the submission time of filings whose files tell none. `done` filings, in the order of sending, are in Kafka,
    and `prefix` is a digest of them; of the `open` next ones some may be, at or behind the offsets `ends` by partition.
    """

    files: dict[str, str]
    topic: str
    at: str
    done: int = 0
    prefix: str = ""
    open: int = 0
    ends: dict[int, int] = {}


class Journal:
    """The journal of one command: the same files to the same topic have the same. Raises InputError."""

    def __init__(self, folder: Path, files: Sequence[Path], topic: str, at: str) -> None:
        names = [str(path.resolve()) for path in files]
        key = hashlib.sha256("\0".join([topic, *names]).encode()).hexdigest()[:16]
        self.path = folder / "submit" / f"{key}.json"
        self.progress = Progress({str(path): digest(path) for path in files}, topic, at)

    def load(self) -> None:
        """Take up what an earlier command left; InputError when there is nothing, or a file is not what it was."""
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=Progress)
        except FileNotFoundError:
            raise InputError(
                f"there is nothing to resume: no sending of {', '.join(self.progress.files)} broke off ({self.path})"
            ) from None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as err:
            raise InputError(f"{self.path}: can't be read: {str(err).splitlines()[0]}") from None
        for (file, now), before in zip(self.progress.files.items(), found.files.values(), strict=True):
            if now != before:
                raise InputError(
                    f"{file} has changed since a part of it was sent ({found.done:,} filings are in Kafka): put the old"
                    " file back, or submit the new one without --resume; what is there already is not taken twice"
                )
        self.progress = msgspec.structs.replace(found, files=self.progress.files)

    def save(self) -> None:
        """Write the journal, so that no crash leaves half of it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_suffix(f".{os.getpid()}")
            with draft.open("wb") as file:
                file.write(msgspec.json.encode(self.progress))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as err:
            raise InputError(
                f"{self.path}: can't be written: {err.strerror}; set GUANLAN_DATA_DIR to a folder for it"
            ) from None

    def remove(self) -> None:
        """Forget it: everything was sent."""
        self.path.unlink(missing_ok=True)


class Prefix:
    """A digest of filings one after another."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, records: Iterable[bytes]) -> str:
        """Add filings, and return the digest of all."""
        for record in records:
            self._sum.update(len(record).to_bytes(8, "little") + record)
        return self._sum.hexdigest()


def digest(path: Path) -> str:
    """Return the digest of a file's bytes; of a pipe, which can be read only once, none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
