"""Figures of digital transformation, for banks and insurers. No published level stands behind them: they are
chosen so that a healthy institution keeps away from the pack's lines and slowly moves online.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.noise import wander
from guanlan.synthetic.population import Population
from guanlan.synthetic.shocks import Shocks

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

YEAR = 365.25
DRILL_EVERY = 300


def digital_figures(
    population: Population, days: Longs, reference: int, shocks: Shocks, rng: np.random.Generator
) -> dict[str, Floats]:
    """Return every indicator of the digital return as an array [days, institutions]."""
    types, size = population.types, population.assets
    n = len(size)
    born_digital = types == "digital_bank"
    years = ((days - reference) / YEAR)[:, None]

    def steady(low: float, high: float, size: float, memory: float = 200) -> Floats:
        return rng.uniform(low, high, n) + wander(rng, days, n, memory, size)

    def share(path: Floats, most: float = 0.999) -> Floats:
        return np.clip(path, 0.001, most)

    online = np.where(born_digital, 0.995, rng.uniform(0.84, 0.95, n)) + np.where(born_digital, 0, 0.010) * years
    models = np.maximum(4, np.round((size / 1e9) ** 0.38 * rng.uniform(2.0, 4.5, n) * np.exp(0.25 * years)))
    models = np.maximum.accumulate(models, axis=0)
    unvalidated = share(rng.uniform(0.0, 0.055, n) + shocks.unvalidated, 0.95)
    branches = np.where(born_digital, 1, np.round((size / 1e9) ** 0.65 * rng.uniform(0.8, 1.6, n)) + 2)
    drill = (days[:, None] + rng.integers(0, DRILL_EVERY, n)) % DRILL_EVERY
    staff = np.where(born_digital, 0.52, rng.uniform(0.03, 0.09, n)) + wander(rng, days, n, 200, 0.002)
    small_loans = size * rng.uniform(0.05, 0.14, n) * np.exp(0.11 * years)
    short = np.round(rng.exponential(6, (len(days), n)))
    return {
        "it_spend_share": share(steady(0.02, 0.05, 0.002)),
        "it_staff_share": share(staff + 0.003 * years),
        "online_business_share": share(online + wander(rng, days, n, 400, 0.0015)),
        "straight_through_ratio": share(steady(0.62, 0.85, 0.004) + 0.012 * years),
        "branch_count": np.maximum(1, np.round(branches * (1 - 0.012 * years))),
        "elderly_assisted_share": share(steady(0.72, 0.93, 0.008)),
        "inclusive_mse_loans": np.where(population.banks, small_loans, np.nan),
        "important_systems_availability": 1 - np.clip(short / 60 / 2190 * 0.8, 1e-6, 4e-4),
        "longest_outage": np.minimum(short, 27),
        "recovery_drill_age": drill.astype(float),
        "cloud_important_systems_share": share(steady(0.15, 0.60, 0.01) + 0.03 * years, 0.9),
        "cloud_top_provider_share": share(steady(0.35, 0.72, 0.01), 0.78),
        "outsourcing_top_share": share(steady(0.12, 0.42, 0.01), 0.47),
        "partner_top_share": share(steady(0.05, 0.28, 0.01)),
        "cyber_incidents": rng.poisson(0.3, (len(days), n)).astype(float),
        "critical_vulnerability_age": np.minimum(np.round(rng.exponential(5, (len(days), n))), 28),
        "data_quality_score": np.clip(steady(93.5, 98.0, 0.6), 91.5, 99.5),
        "data_standard_conformance": share(steady(0.84, 0.98, 0.005)),
        "data_classification_coverage": share(steady(0.90, 0.99, 0.004)),
        "data_security_incidents": rng.poisson(0.02, (len(days), n)).astype(float),
        "ai_models_total": models,
        "ai_models_unvalidated": np.floor(models * unvalidated),
        "ai_high_risk_unapproved": np.zeros((len(days), n)),
        "ai_high_risk_without_fallback": np.zeros((len(days), n)),
        "model_psi_max": np.clip(steady(0.03, 0.10, 0.008, 100), 0.005, 0.13),
    }
