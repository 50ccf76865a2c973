"""How many examples a property test draws."""

from __future__ import annotations

from hypothesis import settings

FUZZ = 10_000
"""Examples of `make fuzz`."""


def at_least(count: int) -> settings:
    """Return settings with `count` examples, or as many as the profile draws where that is more (`make fuzz`)."""
    return settings(max_examples=max(count, settings.default.max_examples))


def at_most(count: int) -> settings:
    """Return settings with `count` examples, for what is dear; as many as the profile draws in `make fuzz`."""
    often = settings.default.max_examples
    return settings(max_examples=often if often >= FUZZ else min(count, often))
