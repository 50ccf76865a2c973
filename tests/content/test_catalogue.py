"""The catalogue of Chinese banks and insurers holds together."""

from __future__ import annotations

import pytest

from rules.catalogue import Catalogue, load_catalogue
from rules.pack import Program, available, compile_packs, load_packs, wanted_catalogues
from streams.needs import needed


@pytest.fixture(scope="module")
def cn() -> Catalogue:
    """The catalogue, with the measures' own."""
    return load_catalogue(["cn"])


def own(catalogue: Catalogue) -> list[str]:
    """Ids of the indicators that are not measures."""
    return [i.id for i in catalogue.indicators.values() if not i.form.startswith("measures.")]


def test_everything_has_a_title_in_both_languages(cn: Catalogue) -> None:
    """Boards and alerts are read in English and in Chinese."""
    things = {**cn.forms, **{name: cn.indicators[name] for name in own(cn)}}
    assert [name for name, thing in things.items() if not (thing.title.get("en") and thing.title.get("zh"))] == []


def test_chinese_titles_use_chinese_punctuation(cn: Catalogue) -> None:
    """A half-width comma or bracket between Chinese characters is a typing slip."""
    titles = [cn.indicators[name].title["zh"] for name in own(cn)]
    assert [title for title in titles if set(title) & set(",();:")] == []


def test_series_names_are_unique(cn: Catalogue) -> None:
    """Two indicators must not write to one Prometheus series."""
    names = [cn.indicators[name].series_name for name in own(cn)]
    assert sorted(names) == sorted(set(names))


def test_reported_indicators_are_bounded(cn: Catalogue) -> None:
    """Without bounds a percentage sent as a whole number would pass as a ratio."""
    reported = [cn.indicators[name] for name in own(cn) if not cn.indicators[name].formula]
    assert [i.id for i in reported if i.low == float("-inf") or i.high == float("inf")] == []


def test_no_basis_claims_to_be_verified(cn: Catalogue) -> None:
    """A person has to read the official text first; until then the date stays empty."""
    bases = {name: cn.indicators[name].basis for name in own(cn) if cn.indicators[name].basis}
    assert [name for name, basis in bases.items() if basis["verified_on"] is not None or not basis["document"]] == []


def test_forms_are_filed_by_types_that_sets_know(cn: Catalogue) -> None:
    """A misspelt type would owe nothing and never be late."""
    known = {type_ for types in cn.sets.values() for type_ in types}
    assert {t for form in cn.forms.values() for t in form.types} <= known


def programs() -> list[Program]:
    """Every pack that comes along, each compiled with the catalogue it asks for."""
    return [
        compile_packs(texts, load_catalogue(wanted_catalogues(texts) or ["cn"]))
        for texts in (load_packs([name]) for name in available())
    ]


def test_indicators_are_read_by_some_rule_or_say_what_happens_beside_one(cn: Catalogue) -> None:
    """At least half of what institutions are asked to file must matter to a rule that comes along, or to a measure."""
    read = {name for program in programs() for rule in program.rules for name in rule.reads} | set(needed(cn))
    reported = [name for name in own(cn) if not cn.indicators[name].formula]
    assert len(read & set(reported)) >= len(reported) / 2
