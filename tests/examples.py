"""How many examples a property test draws."""

from __future__ import annotations

from hypothesis import settings


def at_least(count: int) -> settings:
    """Return settings with `count` examples, or as many as the profile draws where that is more (`make fuzz`)."""
    return settings(max_examples=max(count, settings.default.max_examples))
