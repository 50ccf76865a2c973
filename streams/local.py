"""The local copy of state: a RocksDB database for each partition, whose writes do not wait for the disk.

The changelog is what keeps state. The local copy only spares reading it, so it has no log of its own: rows wait in
memory until RocksDB writes them in threads of its own. After a kill the copy lacks its newest rows and knows so, and
what it lacks is read from the changelog. RocksDB's own log would be written by the event loop, holding the
interpreter, and where the disk is busy that takes seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from faust.stores.rocksdb import RocksDBOptions
from rocksdict import DBCompressionType, Env, Options, WriteOptions

BUFFER_BYTES = 8 << 20
BUFFERS = 6  # used where the disk is behind: with Faust's three a writer waits sooner
CACHE_BYTES = 16 << 20
MERGED_FILES = 12  # of a buffer each: merging every four costs twice as much
SLOWED_FILES = 40
STOPPED_FILES = 60


class LocalCopy(RocksDBOptions):
    """How Faust opens the database of a partition."""

    def __init__(self) -> None:
        super().__init__(write_buffer_size=BUFFER_BYTES, max_write_buffer_number=BUFFERS, block_cache_size=CACHE_BYTES)

    def as_options(self) -> Options:
        """Return RocksDB's options."""
        options = super().as_options()
        options.set_compression_type(DBCompressionType.none())  # numbers hardly get smaller
        options.set_level_zero_file_num_compaction_trigger(MERGED_FILES)
        options.set_level_zero_slowdown_writes_trigger(SLOWED_FILES)
        options.set_level_zero_stop_writes_trigger(STOPPED_FILES)
        threads = Env()
        threads.lower_thread_pool_cpu_priority()  # of those that merge: filings must not wait for them
        options.set_env(threads)
        return options

    def open(self, path: Path, *, read_only: bool = False) -> Any:
        """Open the database in a folder, or make it."""
        database = super().open(path, read_only=read_only)
        unlogged = WriteOptions()
        unlogged.disable_wal = True
        database.set_write_options(unlogged)
        return database
