"""Small worlds for the engine's tests: a catalogue of two forms, packs, and filings as rows of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rules.catalogue import Catalogue, parse_catalogues
from rules.engine import Engine, FormBatch
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution

DAY = 86_400
CATALOGUE = """
catalogue: small
currency: CNY
country: CN
sets: {BANKS: [bank, rural]}
forms:
  - {id: q, title: Quarterly, frequency: quarterly, deadline: 15d, grace_days: 30}
  - {id: d, title: Daily, frequency: daily, grace_days: 3}
indicators:
  - {id: x, form: q, unit: ratio}
  - {id: y, form: q, unit: ratio}
  - {id: assets, form: q, unit: currency}
  - {id: z, form: d, unit: ratio}
  - {id: share, formula: x / y, unit: ratio}
"""


def catalogue() -> Catalogue:
    """The catalogue above, joined with the measures' own."""
    from rules.catalogue import HERE

    measures = (HERE / "measures.yaml").read_text(encoding="utf-8")
    return parse_catalogues([(CATALOGUE, "small"), (measures, "measures")])


def program(*rules: str) -> Program:
    """Compile rules given as YAML list items."""
    body = "\n".join(rules)
    return compile_packs([PackText(f"pack: p\nversion: '1'\nrules:\n{body}", "p.yaml")], catalogue())


def institutions(n: int = 3) -> list[Institution]:
    """I0, I1, …: banks, every third an insurer."""
    return [Institution(f"I{i}", {"en": f"Bank {i}"}, type="insurer" if i % 3 == 2 else "bank") for i in range(n)]


def batch(engine: Engine, form: str, filings: Iterable[Sequence[object]]) -> FormBatch:
    """Columns from (code, as-of day, values, revision=0, sequence=position, offset=-1) rows."""
    rows = [tuple(f) + (0, None, -1)[len(f) - 3 :] for f in filings]
    return FormBatch(
        form=form,
        rows=engine.rows([str(r[0]) for r in rows]),
        as_of=np.array([r[1] for r in rows], np.int64) * DAY,
        submitted_at=np.array([r[1] for r in rows], np.int64) * DAY + 20 * DAY,
        revision=np.array([r[3] for r in rows], np.int32),
        offset=np.array([r[5] for r in rows], np.int64),
        sequence=np.array([i if r[4] is None else r[4] for i, r in enumerate(rows)], np.int64),
        values=np.array([r[2] for r in rows], np.float64).T.reshape(-1, len(rows)),
    )
