"""What a worker loads before it can begin: a restart should cost seconds for state, not for modules."""

from __future__ import annotations

import pickle
import subprocess
import sys

from guanlan.synthetic.wide import wide_filings
from streams.encode import recode
from streams.encodings import Encoding

SLOW = {"scipy.stats", "pandas", "pyarrow", "plotly", "matplotlib", "networkx"}


def test_a_worker_starts_without_what_it_does_not_need() -> None:
    """None of the modules that take longest to import is loaded with the worker."""
    asked = "import sys, streams.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert SLOW & set(done.stdout.split()) == set()


def test_arrow_filings_are_read_without_pandas() -> None:
    """The first filing in Arrow does not hold a worker up with an import of more than a second."""
    wide = wide_filings(institutions=3, indicators=5, filings=6)
    records = [recode(record.value, wide.indicators, Encoding.ARROW) for record in wide.records()]
    asked = """if True:
        import pickle, sys
        from rules.catalogue import parse_catalogues
        from streams.decode import Decoder
        catalogue, headers, records = pickle.load(sys.stdin.buffer)
        decoded = Decoder(parse_catalogues([(catalogue, "wide.yaml")])).decode(records, None, [headers] * 6)
        print(*(len(columns.index) for columns in decoded.forms), "pandas" in sys.modules)
    """
    sent = pickle.dumps((wide.catalogue, list(Encoding.ARROW.headers), records))
    done = subprocess.run([sys.executable, "-c", asked], input=sent, capture_output=True, check=True)
    assert done.stdout.split() == [b"6", b"False"]
