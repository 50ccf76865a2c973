"""Filings that were taken in, on disk until they are sent: memory does not grow with their number."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

_HEAD = struct.Struct("<qqHHHI?")


class Frame(NamedTuple):
    """One filing: its position among all, where it stands, its form ("" for one that was refused), key and bytes.

    `odd` says that it has an implausible value.
    """

    position: int
    file: int
    row: int
    form: str
    key: bytes | None
    record: bytes
    odd: bool = False


class Spool:
    """A temporary file of frames, written once and then read in order. `files` are the names that `Frame.file` counts.

    It takes the disk of the temporary folder (TMPDIR) that the records take, and is gone when it is closed.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self.files: list[str] = []
        self._numbers: dict[str, int] = {}
        self._forms: list[str] = [""]
        self._form_numbers = {"": 0}

    def file_number(self, name: str) -> int:
        """Return the number of a file's name."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.files)
            self.files.append(name)
        return number

    def write(self, frame: Frame) -> None:
        """Add a frame behind the others."""
        form = self._form_numbers.get(frame.form)
        if form is None:
            form = self._form_numbers[frame.form] = len(self._forms)
            self._forms.append(frame.form)
        key = frame.key or b""
        head = _HEAD.pack(frame.position, frame.row, frame.file, form, len(key), len(frame.record), frame.odd)
        self._file.write(head + key + frame.record)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in the order in which they were written."""
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            position, row, file, form, key, record, odd = _HEAD.unpack(head)
            told = self._file.read(key)
            yield Frame(position, file, row, self._forms[form], told or None, self._file.read(record), odd)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()
