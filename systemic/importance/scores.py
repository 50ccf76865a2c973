"""Indicator-based scores of systemic importance: Basel's for G-SIBs, China's for D-SIBs, by one calculation.

An institution's indicator is its share of the sample's total; a category is the weighted sum of its
indicators' shares; the score is the weighted sum of categories in basis points. Scores of a sample sum to
10,000 basis points but for categories that are capped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from systemic.arrays import Indices, Matrix, Vector
from systemic.registry import declare, measure

BASIS_POINTS = 10_000.0

declare("indicators", ("institution", "indicator"), "currency", "[i, k] is indicator k of institution i, not below 0")


@dataclass(frozen=True, slots=True)
class Category:
    """Indicators that count together: weights by name (fractions of the score), and a cap in basis points."""

    name: str
    weights: Mapping[str, float]
    cap: float = float("inf")

    @property
    def weight(self) -> float:
        """The category's weight in the score."""
        return sum(self.weights.values())


@dataclass(frozen=True, slots=True)
class Buckets:
    """Lower bounds of buckets in basis points, ascending, and the capital surcharge of each as a fraction.

    `whole`: scores are rounded to whole basis points first, halves up.
    """

    bounds: tuple[float, ...]
    surcharges: tuple[float, ...]
    whole: bool = False

    def of(self, scores: Vector) -> Indices:
        """Return each score's bucket, 1 the lowest; 0 below the first bound. float64[n] → int64[n]."""
        # a score is a sum of shares: what rounding left of a half, in its twelfth digit, is a half
        told = np.floor(np.round(scores, 9) + 0.5) if self.whole else scores
        return np.searchsorted(np.asarray(self.bounds), told, side="right").astype(np.int64)

    def surcharge(self, scores: Vector) -> Vector:
        """Return each score's surcharge as a fraction of risk-weighted assets; 0 below the first bound."""
        return np.concatenate([[0.0], self.surcharges])[self.of(scores)]


@dataclass(frozen=True, slots=True)
class Method:
    """A scoring method: categories whose weights sum to 1, the buckets, and where it is written down."""

    name: str
    categories: tuple[Category, ...]
    buckets: Buckets
    reference: str

    @property
    def indicators(self) -> tuple[str, ...]:
        """All indicators in order."""
        return tuple(name for category in self.categories for name in category.weights)


def _even(weight: float, *names: str) -> Mapping[str, float]:
    return MappingProxyType({name: weight / len(names) for name in names})


GSIB = Method(
    "g-sib",
    (
        Category("size", _even(0.20, "total_exposures")),
        Category(
            "interconnectedness",
            _even(0.20, "intra_financial_assets", "intra_financial_liabilities", "securities_outstanding"),
        ),
        Category(
            "substitutability",
            MappingProxyType(
                {
                    "payments": 0.20 / 3,
                    "assets_under_custody": 0.20 / 3,
                    "underwriting": 0.10 / 3,
                    "trading_volume_fixed_income": 0.05 / 3,
                    "trading_volume_equities": 0.05 / 3,
                }
            ),
            cap=100.0,
        ),
        Category("complexity", _even(0.20, "otc_derivatives", "trading_and_afs_securities", "level_3_assets")),
        Category("cross_jurisdiction", _even(0.20, "cross_jurisdictional_claims", "cross_jurisdictional_liabilities")),
    ),
    Buckets((130.0, 230.0, 330.0, 430.0, 530.0), (0.010, 0.015, 0.020, 0.025, 0.035), whole=True),
    "Basel Committee (2018), Global systemically important banks: revised assessment methodology and the higher "
    "loss absorbency requirement; Basel Framework SCO40; rounding: Basel Committee (2014), The G-SIB assessment "
    "methodology: score calculation",
)
"""Basel's method: a category's cap of 500 basis points of its own score is 100 of the whole. Trading volume counts in
two halves of 1.67 %, fixed income and equities with other securities. A score's bucket is that of its whole basis
points."""

DSIB_CHINA = Method(
    "d-sib-china",
    (
        Category("size", _even(0.25, "adjusted_exposures")),
        Category(
            "interconnectedness",
            _even(0.25, "intra_financial_assets", "intra_financial_liabilities", "securities_and_funding_issued"),
        ),
        Category(
            "substitutability",
            _even(0.25, "payments", "assets_under_custody", "agency_distribution", "clients_and_outlets"),
        ),
        Category(
            "complexity",
            _even(
                0.25,
                "derivatives",
                "securities_at_fair_value",
                "nonbank_affiliates_assets",
                "wealth_management",
                "cross_border_positions",
            ),
        ),
    ),
    Buckets((100.0, 300.0, 450.0, 600.0, 750.0), (0.0025, 0.005, 0.0075, 0.010, 0.015)),
    "PBoC and CBIRC (2020), 系统重要性银行评估办法; PBoC and CBIRC (2021), 系统重要性银行附加监管规定(试行)",
)
"""China's method. Weights and bucket bounds are as commonly published; a pack that calls them law verifies them."""

METHODS: Mapping[str, Method] = MappingProxyType({m.name: m for m in (GSIB, DSIB_CHINA)})


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of n institutions in basis points: `score` float64[n], `categories` float64[n, c], before caps too."""

    method: Method
    score: Vector
    categories: Matrix
    uncapped: Matrix

    @property
    def bucket(self) -> Indices:
        """Bucket of each institution, 0 for none."""
        return self.method.buckets.of(self.score)

    @property
    def surcharge(self) -> Vector:
        """Capital surcharge of each institution as a fraction of risk-weighted assets."""
        return self.method.buckets.surcharge(self.score)


def importance_scores(
    method: Method, indicators: Mapping[str, Vector], totals: Mapping[str, float] = MappingProxyType({})
) -> Scores:
    """Return the scores of n institutions.

    `indicators`: every indicator of the method by name, float64[n] in one currency, not below 0; a missing
    value (NaN) counts as 0, which scores an institution too low, never too high. `totals` replaces the sum
    over the institutions given, where the sample is larger (Basel publishes such denominators). An indicator
    whose total is 0 adds nothing. ValueError for an indicator that is absent, negative or of another length.
    """
    missing = [name for name in method.indicators if name not in indicators]
    if missing:
        raise ValueError(f"{method.name} needs the indicators {', '.join(missing)}")
    sizes = {len(indicators[name]) for name in method.indicators}
    if len(sizes) > 1:
        raise ValueError(f"the indicators are of different lengths: {sorted(sizes)}")
    n = sizes.pop()
    raw = np.zeros((n, len(method.categories)))
    for column, category in enumerate(method.categories):
        for name, weight in category.weights.items():
            raw[:, column] += weight * BASIS_POINTS * _shares(name, indicators[name], totals.get(name))
    capped = np.minimum(raw, [category.cap for category in method.categories])
    return Scores(method, capped.sum(axis=1), capped, raw)


def _shares(name: str, values: Vector, total: float | None) -> Vector:
    known = np.nan_to_num(np.asarray(values, np.float64))
    if (known < 0).any():
        raise ValueError(f"{name} has a negative value")
    whole = float(known.sum()) if total is None else total
    return known / whole if whole > 0 else np.zeros(len(known))


def _register(method: Method, name: str, title: Mapping[str, str]) -> None:
    @measure(
        name,
        title=title,
        level="institution",
        unit="basis points",
        sign="higher is riskier",
        reference=method.reference,
        assumptions=("the institutions given are the whole sample", "a missing indicator counts as zero"),
        complexity="O(n)",
        inputs=("indicators",),
    )
    def score(indicators: Matrix) -> Vector:
        """Score of systemic importance in basis points, from the indicators in the method's order."""
        if np.ndim(indicators) != 2 or np.shape(indicators)[1] < len(method.indicators):
            raise ValueError(f"{method.name} needs {len(method.indicators)} indicators a row")
        columns = {k: np.asarray(indicators)[:, i] for i, k in enumerate(method.indicators)}
        return importance_scores(method, columns).score


_register(GSIB, "gsib_score", {"en": "Basel G-SIB score", "zh": "全球系统重要性得分"})
_register(DSIB_CHINA, "dsib_score", {"en": "China D-SIB score", "zh": "国内系统重要性得分"})
