"""Numbers with their units, as people write them."""

from __future__ import annotations

import math

_SCALES = ((1e12, "tn"), (1e9, "bn"), (1e6, "m"))


def number(value: float | None, unit: str) -> str:
    """Return a number with its unit: a ratio in percent, an amount in thousands, millions and so on.

    >>> number(0.9731, "ratio"), number(1.234e12, "CNY"), number(3.0, "count"), number(None, "ratio")
    ('97.31%', '1.234tn CNY', '3', 'missing')
    """
    if value is None or math.isnan(value):
        return "missing"
    if unit == "ratio":
        return f"{value:.2%}"
    if unit in ("", "count", "score"):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    scale, suffix = next(((s, t) for s, t in _SCALES if abs(value) >= s), (1.0, ""))
    return f"{value / scale:,.4g}{suffix} {unit}"
