"""The local copy of state: what a kill takes from it, and what it has after an orderly end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from streams.local import BUFFER_BYTES, LocalCopy

ROW_BYTES = 1 << 20
ROWS = 9 * BUFFER_BYTES // ROW_BYTES // 2  # so that the last buffer is half full
WRITER = """
import os, signal, sys, time
from pathlib import Path
from streams.local import LocalCopy

folder, rows, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
database = LocalCopy().open(folder)
for number in range(rows):
    database.put(b"row %d" % number, os.urandom(size))
    database.put(b"offset", b"%d" % number)
while not database.property_int_value("rocksdb.estimate-live-data-size"):
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_everything_is_there_up_to_the_offset_that_it_knows(tmp_path: Path) -> None:
    """Its newest rows are gone, the offset with them: what comes after that is read from the changelog."""
    folder = tmp_path / "copy"
    ended = subprocess.run([sys.executable, "-c", WRITER, str(folder), str(ROWS), str(ROW_BYTES)], check=False)
    assert ended.returncode == -signal.SIGKILL
    found = LocalCopy().open(folder)
    offset = int(found.get(b"offset"))
    assert 0 < offset < ROWS - 1
    assert [len(found.get(b"row %d" % number)) for number in range(offset + 1)] == [ROW_BYTES] * (offset + 1)
    assert found.get(b"row %d" % (ROWS - 1)) is None


def test_an_orderly_end_keeps_everything(tmp_path: Path) -> None:
    """What waits in memory is written when the copy is closed, as Faust does it: by letting go of it."""
    database = LocalCopy().open(tmp_path / "copy")
    database.put(b"row", b"what it says")
    assert sum(log.stat().st_size for log in (tmp_path / "copy").glob("*.log")) == 0
    del database
    assert LocalCopy().open(tmp_path / "copy").get(b"row") == b"what it says"
