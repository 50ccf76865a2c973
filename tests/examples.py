"""How many examples a property test draws."""

from __future__ import annotations

import os

from hypothesis import settings

FUZZ = 10_000
"""Examples of `make fuzz`, of each test."""

SHARE = "FUZZ_EXAMPLES"
"""The variable that gives `make fuzz` another number: a share of the work, with a `--hypothesis-seed` of its own."""


def fuzzing() -> int:
    """Return how many examples each test draws in `make fuzz`."""
    return int(os.environ.get(SHARE) or FUZZ)


def at_least(count: int) -> settings:
    """Return settings with `count` examples, or as many as the profile draws where that is more (`make fuzz`)."""
    return settings(max_examples=max(count, settings.default.max_examples))


def at_most(count: int) -> settings:
    """Return settings with `count` examples, for what is dear; as many as the profile draws in `make fuzz`."""
    often = settings.default.max_examples
    return settings(max_examples=often if settings.get_current_profile_name() == "fuzz" else min(count, often))
