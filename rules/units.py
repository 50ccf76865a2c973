"""Units as exponents over base dimensions: enough to refuse a ratio compared with an amount."""

from __future__ import annotations

Unit = tuple[tuple[str, int], ...]

RATIO: Unit = ()
ANY: None = None


def unit_of(name: str) -> Unit:
    """Return the unit of a catalogue unit name; a ratio has no dimension.

    >>> unit_of("currency")
    (('currency', 1),)
    """
    return RATIO if name == "ratio" else ((name, 1),)


def multiply(a: Unit | None, b: Unit | None, sign: int = 1) -> Unit | None:
    """Return the unit of a·b (sign 1) or a/b (sign -1); a bare number (None) scales and keeps the other."""
    if a is None and b is None:
        return None
    powers = dict(a or ())
    for name, power in b or ():
        powers[name] = powers.get(name, 0) + sign * power
    return tuple(sorted((n, p) for n, p in powers.items() if p))


def fits(a: Unit | None, b: Unit | None) -> bool:
    """Whether values of the two units may be added or compared; a bare number fits everything."""
    return a is None or b is None or a == b


def words(unit: Unit | None) -> str:
    """Name a unit for a message.

    >>> words((("count", -1), ("currency", 1)))
    'currency per count'
    """
    if unit is None:
        return "a bare number"
    if not unit:
        return "a ratio"
    over = " × ".join(f"{n}^{p}" if p > 1 else n for n, p in unit if p > 0) or "1"
    under = " × ".join(f"{n}^{-p}" if p < -1 else n for n, p in unit if p < 0)
    return f"{over} per {under}" if under else over
