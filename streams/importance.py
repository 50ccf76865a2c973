"""Scores of systemic importance from filings: China's for D-SIBs, Basel's for G-SIBs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from streams.measured import MIN_COVERAGE, Measured
from streams.networks import Network
from systemic.importance.scores import DSIB_CHINA, GSIB, Method, importance_scores

METHODS: Mapping[str, Method] = MappingProxyType({"dsib": DSIB_CHINA, "gsib": GSIB})


def importance(network: Network, found: Measured) -> None:
    """Score those who have filed every indicator of a method, among themselves; bucket and surcharge by the score.

    The system's measure is the largest score. Coverage counts who has filed all indicators, of those that file the
    form at all.
    """
    for prefix, method in METHODS.items():
        figures = network.figures.get(prefix)
        told = figures.complete(method.indicators) if figures is not None else []
        expected = figures.expected if figures is not None else 0
        share = len(told) / expected if expected else 0.0
        names = (f"{prefix}_score", f"{prefix}_score_bucket", f"{prefix}_score_surcharge", f"{prefix}_score_largest")
        found.coverages.update(dict.fromkeys(names, share))
        if figures is None:
            detail = f"no form of the catalogue has the indicators {', '.join(method.indicators)}"
            found.lack((names[-1],), "no_indicators", detail)
            continue
        if share < MIN_COVERAGE:
            detail = f"{len(told)} of {expected} institutions have filed every indicator; {MIN_COVERAGE:.0%} are needed"
            found.lack((names[-1],), "too_few_indicators", detail)
            continue
        columns = {k: np.array([figures.values[code][k] for code in told]) for k in method.indicators}
        scores = importance_scores(method, columns)
        within = np.isin(told, found.codes)
        inside = [code for code, kept in zip(told, within.tolist(), strict=True) if kept]
        for name, values in zip(names, (scores.score, scores.bucket, scores.surcharge), strict=False):
            found.column(name, inside, np.asarray(values, np.float64)[within])
        found.system[names[-1]] = float(scores.score.max())
        found.cases[names[-1]] = dict(zip(told, scores.score.tolist(), strict=True))
