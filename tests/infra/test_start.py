"""What a worker loads before it can begin: a restart should cost seconds for state, not for modules."""

from __future__ import annotations

import subprocess
import sys

SLOW = {"scipy.stats", "pandas", "pyarrow", "plotly", "matplotlib", "networkx"}


def test_a_worker_starts_without_what_it_does_not_need() -> None:
    """None of the modules that take longest to import is loaded with the worker."""
    asked = "import sys, streams.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert SLOW & set(done.stdout.split()) == set()
