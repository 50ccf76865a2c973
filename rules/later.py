"""What the extra `fast` brings, loaded beside the work: compiled code takes seconds to load, more where it is new."""

from __future__ import annotations

import contextlib
import threading
from importlib import import_module
from typing import Any


class Later:
    """A module that needs numba. `found` is the module once it is there, which it never is without numba."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: Any = None
        self._thread: threading.Thread | None = None

    def begin(self) -> threading.Thread:
        """Load it in a thread of its own, if nobody has asked for that before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._load, name=self.name, daemon=True)
            self._thread.start()
        return self._thread

    def wait(self) -> bool:
        """Load it, and say whether it is there."""
        self.begin().join()
        return self.found is not None

    def _load(self) -> None:
        with contextlib.suppress(ImportError):
            self.found = import_module(self.name)
