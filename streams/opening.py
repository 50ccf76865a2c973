"""Opening files that a person named: once each, with limits, and so that whatever goes wrong is one sentence."""

from __future__ import annotations

import codecs
import gzip
import io
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from rules.problems import GuanlanError, InputError, nearest
from streams.limits import LIMITS, Limits, over

CHUNK = 1 << 16
IN_MEMORY = 8 << 20


@contextmanager
def guard(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into InputError.

    What a library for a format raises over a broken file is not documented anywhere, so everything is taken.
    """
    try:
        yield
    except GuanlanError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}{_near(path)}") from None
    except UnicodeDecodeError as err:
        raise _undecoded(path, err, err.start) from None
    except MemoryError:
        raise InputError(f"{path}: does not fit into memory; split the file") from None
    except Exception as err:  # see above
        said = (str(err).strip() or type(err).__name__).splitlines()[0]
        raise InputError(f"{path}: can't be read: {said[:300]}") from None


def guarded(path: Path, items: Iterator[Any]) -> Iterator[Any]:
    """Yield the items; what goes wrong in making them becomes InputError, not what goes wrong in using them."""
    with guard(path):
        yield from items


@contextmanager
def opened(path: Path, limits: Limits = LIMITS, seekable: bool = False) -> Iterator[BinaryIO]:
    """Open a file, once, for its bytes as they are.

    With `seekable`, what can't be read from any place (a pipe) is copied to a temporary file first.
    """
    with path.open("rb") as file:
        if not seekable or stat.S_ISREG(path.stat().st_mode):
            yield file
            return
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as copy:
            shutil.copyfileobj(_Bounded(file, path, limits.unpacked_bytes), copy)
            copy.seek(0)
            yield cast(BinaryIO, copy)


@contextmanager
def unpacked(path: Path, limits: Limits = LIMITS) -> Iterator[BinaryIO]:
    """Open a text file for its bytes, gzip around it taken off; more than the limit is InputError."""
    with opened(path) as file:
        packed = path.suffix.lower() == ".gz"
        raw = cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb")) if packed else file
        bounded = _Bounded(raw, path, limits.unpacked_bytes)
        with io.BufferedReader(cast(Any, bounded), CHUNK) as buffered:
            yield cast(BinaryIO, buffered)


def read_lines(path: Path, limits: Limits = LIMITS) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a text file that are not blank, with their numbers, as the bytes they are."""
    with guard(path), unpacked(path, limits) as file:
        if file.peek(3)[:3] == codecs.BOM_UTF8:  # type: ignore[attr-defined]
            file.read(3)
        for number, line in enumerate(_lines(file.readline, path, limits), start=1):
            if line.strip():
                yield number, line.rstrip(b"\r\n")


def text_lines(path: Path, encoding: str = "", limits: Limits = LIMITS) -> Iterator[str]:
    """Yield the lines of a text file, with their ends; UTF-8 if no encoding is named."""
    with guard(path), unpacked(path, limits) as file:
        counted = _Counted(file)
        try:
            with io.TextIOWrapper(cast(Any, counted), encoding=encoding or "utf-8-sig", newline="") as text:
                yield from _lines(text.readline, path, limits)
        except UnicodeDecodeError as err:
            raise _undecoded(path, err, counted.count - len(err.object) + err.start) from None


def read_whole_text(path: Path, limits: Limits = LIMITS) -> str:
    """Return a text file's text, which must be UTF-8. Raises InputError."""
    with guard(path), unpacked(path, limits) as file:
        found = file.read(limits.line_bytes + 1)
        if len(found) > limits.line_bytes:
            over(path, "bytes", limits.line_bytes)
        return found.decode("utf-8-sig")


def _lines(readline: Callable[[int], Any], path: Path, limits: Limits) -> Iterator[Any]:
    most = limits.line_bytes
    number = 0
    while line := readline(most + 1):
        number += 1
        if len(line) > most:
            over(path, f"bytes in line {number:,}", most, "is it text with lines?")
        yield line


class _Bounded(io.RawIOBase):
    """Bytes of another stream, up to a limit."""

    def __init__(self, raw: BinaryIO, path: Path, most: int) -> None:
        self._raw = raw
        self._path = path
        self._most = most
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        found = self._raw.read(len(room))
        room[: len(found)] = found
        self._count += len(found)
        if self._count > self._most:
            over(self._path, "bytes unpacked", self._most)
        return len(found)


class _Counted(io.RawIOBase):
    """Bytes of another stream, counted."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        found = self._raw.read(len(room))
        room[: len(found)] = found
        self.count += len(found)
        return len(found)

    def read1(self, size: int = -1) -> bytes:
        found = self._raw.read1(size)  # type: ignore[attr-defined]
        self.count += len(found)
        return bytes(found)


def _near(path: Path) -> str:
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    guess = nearest(path.name, siblings)
    return f"; {guess}" if guess else ""


def _undecoded(path: Path, err: UnicodeDecodeError, at: int) -> InputError:
    other = "gb18030" if err.encoding.lower().startswith("utf") else "utf-8"
    return InputError(f"{path}: byte {at} is not {err.encoding}; name the 'encoding' in a mapping, for example {other}")
