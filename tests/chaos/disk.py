"""What happens to a local store while nobody runs: each damage must cost time only."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path


def spoil(folder: Path, rng: random.Random) -> str:
    """Damage the stores of a worker that was killed, in one way chosen by chance; return which, "" for none."""
    if not folder.is_dir():
        return ""
    name = rng.choice(list(DAMAGES))
    return name if DAMAGES[name](folder, rng) else ""


def _delete(folder: Path, rng: random.Random) -> bool:
    shutil.rmtree(folder)
    return True


def _shorten(folder: Path, rng: random.Random) -> bool:
    files = _tables(folder)
    for file in rng.sample(files, min(3, len(files))):
        os.truncate(file, rng.randrange(max(1, file.stat().st_size)))
    return bool(files)


def _flip(folder: Path, rng: random.Random) -> bool:
    files = _tables(folder)
    for file in files:
        with file.open("r+b") as opened:
            for _ in range(5):
                opened.seek(rng.randrange(max(1, file.stat().st_size)))
                opened.write(rng.randbytes(1))
    return bool(files)


def _blank(folder: Path, rng: random.Random) -> bool:
    files = [*folder.rglob("MANIFEST*"), *folder.rglob("CURRENT")]
    for file in files:
        with file.open("r+b") as opened:
            opened.write(bytes(40))
    return bool(files)


def _lose(folder: Path, rng: random.Random) -> bool:
    files = _tables(folder)
    for file in rng.sample(files, (len(files) + 1) // 2):
        file.unlink()
    return bool(files)


def _turn_back(folder: Path, rng: random.Random) -> bool:
    """Put the stores back to what they were when this was chosen before; the first time only keep a copy."""
    before = folder.with_name(f"{folder.name}.before")
    found = before.is_dir()
    if found:
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
    else:
        shutil.copytree(folder, before)
    return found


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.sst"))


DAMAGES: dict[str, Callable[[Path, random.Random], bool]] = {
    "deleted": _delete,
    "shortened": _shorten,
    "bytes changed": _flip,
    "manifest blank": _blank,
    "tables lost": _lose,
    "turned back": _turn_back,
}
