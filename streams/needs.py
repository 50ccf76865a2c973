"""What the system side's measures need of filings: the indicators that are passed on whatever rules read."""

from __future__ import annotations

from rules.catalogue import Catalogue
from streams.importance import METHODS

MEASURED = ("equity", "total_assets", "interbank_assets", "interbank_liabilities")


def purposes(catalogue: Catalogue) -> dict[str, frozenset[str]]:
    """Return by purpose the further indicators that measures need; without one of them there is no purpose."""
    wanted = {prefix: frozenset(method.indicators) for prefix, method in METHODS.items()}
    wanted["holdings"] = frozenset(held.indicator for held in catalogue.asset_classes)
    reported = {name for name, i in catalogue.indicators.items() if i.form}
    return {purpose: names for purpose, names in wanted.items() if names and names <= reported}


def needed(catalogue: Catalogue) -> tuple[str, ...]:
    """Return the indicators that measures are made of."""
    return (*MEASURED, *sorted(frozenset[str]().union(*purposes(catalogue).values())))
