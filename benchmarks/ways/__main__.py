"""`python -m benchmarks.ways NAME TASK`: run one way in this process."""

from __future__ import annotations

import faulthandler
import sys
from importlib import import_module

import msgspec

from benchmarks.ways import Task

LONGEST = 240

if __name__ == "__main__":
    name, text = sys.argv[1:]
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    measured = import_module(f"benchmarks.ways.{name}").run(msgspec.json.decode(text, type=Task))
    print(msgspec.json.encode(measured).decode(), flush=True)
    faulthandler.cancel_dump_traceback_later()
