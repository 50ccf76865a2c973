"""What a worker runs: packs compiled with its catalogue, and with the packs that the catalogue itself asks for."""

from __future__ import annotations

from collections.abc import Sequence

from guanlan.settings import Settings
from rules.catalogue import load_catalogue
from rules.pack import PackText, Program, compile_packs, wanted_catalogues
from streams.stress import stress_packs
from streams.values import value_packs


def compile_texts(texts: Sequence[PackText], settings: Settings, asked_catalogue: bool = False) -> Program:
    """Compile packs; raise CatalogueError or PackError with what is wrong.

    The catalogues are those of the settings, or what the packs ask for where nobody set any.
    """
    chosen = asked_catalogue or "catalogue" in settings.model_fields_set
    names = settings.catalogue if chosen else wanted_catalogues(texts) or settings.catalogue
    catalogue = load_catalogue(names)
    return compile_packs([*texts, *stress_packs(catalogue), *value_packs(catalogue)], catalogue)
