"""Synthetic sectors: made-up institutions and filings for demos, tests and benchmarks.

`Sector` is a national sector of banks and insurers in the China catalogue, with planted stories; `wide`
makes filings of any width for load tests. Everything is seeded: the same arguments give the same bytes.
"""

from __future__ import annotations

from guanlan.synthetic.sector import Record, Sector
from guanlan.synthetic.stories import Story
from guanlan.synthetic.wide import Wide, wide_filings

__all__ = ["Record", "Sector", "Story", "Wide", "wide_filings"]
