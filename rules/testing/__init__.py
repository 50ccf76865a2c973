"""Tests beside a pack: tables as economists write them, run through the production engine.

    pack: bank-liquidity
    tests:
      - name: two filings below the minimum
        rule: bank.liquidity.lcr
        institution: {type: large_bank}
        table: |
          as_of        lcr   total_assets  | level
          2025-03-31   130%  300bn         | none
          2025-06-30   99%   300bn         | pending
          2025-09-30   98%   300bn         | critical

`tables` reads them, `running` runs them, `timeline` shows what came, `coverage` says what no test reaches.
"""

from __future__ import annotations

from rules.testing.coverage import Coverage, coverage
from rules.testing.running import Result, Step, run_case
from rules.testing.tables import Case, Row, read_tests

__all__ = ["Case", "Coverage", "Result", "Row", "Step", "coverage", "read_tests", "run_case"]
