"""Every measure of the registry is live in the stream, or says where else it is."""

from __future__ import annotations

import pytest

from rules.catalogue import load_catalogue
from rules.functions import FUNCTIONS
from systemic.registry import load_measures

CATALOGUE = load_catalogue(["measures"])
MEASURES = load_measures()


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_live_or_says_where_it_is(name: str) -> None:
    """Under its own name in the catalogue of measures, under the name that it gives, or as a function of rules."""
    live = MEASURES[name].live or name
    named = CATALOGUE.indicators.get(live)
    if named is not None:
        assert named.form.startswith("measures.")
    else:
        function = live.partition("(")[0]
        assert function in FUNCTIONS
        assert " in rules" in live
