"""How much of a group must have filed, by assets or by count; who is compared with whom; what readers are told."""

from __future__ import annotations

import msgspec
import pytest

from alerts.desk import Alert, Notice
from alerts.wording import message
from rules.catalogue import SYSTEM, Catalogue, parse_catalogues
from rules.engine import Engine
from rules.pack import PackText, compile_packs
from rules.problems import CatalogueError
from rules.registry import Institution
from rules.transitions import Transition
from tests.rules.test_across import early
from tests.rules.worlds import CATALOGUE, batch

T, LATER = 90, 181
RULE = "  - {id: r, levels: {watch: 'peer_median(x) > 50%'}MORE}\n"


def sized(size: str = "size: assets\n") -> Catalogue:
    return parse_catalogues([(CATALOGUE.replace("country: CN\n", f"country: CN\n{size}"), "small")])


def engine_of(assets: list[float], more: str = "", catalogue: Catalogue | None = None) -> Engine:
    """Peers I0, I1 … that have filed once with these assets, x low enough for silence."""
    known = catalogue or sized()
    text = f"pack: p\nversion: '1'\nrules:\n{RULE.replace('MORE', more)}"
    banks = [Institution(f"I{i}", type="bank", peer_group="g") for i in range(len(assets))]
    engine = Engine(compile_packs([PackText(text, "p.yaml")], known), [*banks, Institution(SYSTEM)])
    file(engine, {f"I{i}": (0.1, a) for i, a in enumerate(assets)}, T)
    return engine


def file(engine: Engine, values: dict[str, tuple[float, float]], day: int) -> list[Transition]:
    rows = [(code, day, (x, 1.0, assets)) for code, (x, assets) in values.items()]
    return engine.apply([early(batch(engine, "q", rows))]).transitions


def test_four_fifths_of_the_assets_are_enough_however_few_they_belong_to() -> None:
    engine = engine_of([90, 5, 5])
    told = file(engine, {"I0": (0.9, 90)}, LATER)
    assert [t.subject for t in told] == ["I0"]
    found = told[0].coverage["peer_median(x)"]
    assert (found.expected, found.filed, found.values, found.share, found.by) == (3, 1, 1, 0.9, "assets")


def test_many_small_ones_are_not_enough() -> None:
    assert file(engine_of([90, 5, 5]), {"I1": (0.9, 5), "I2": (0.9, 5)}, LATER) == []


def test_who_has_not_filed_counts_by_what_it_said_last_and_without_any_as_the_average() -> None:
    """Of 40, 40 and one unknown (40, as the average) two thirds have filed."""
    engine = engine_of([40, 40, float("nan")], ", min_coverage: 66%")
    told = file(engine, {"I0": (0.9, 40), "I1": (0.9, 40)}, LATER)
    assert told[0].coverage["peer_median(x)"].share == pytest.approx(2 / 3)


def test_without_any_size_it_is_the_count() -> None:
    for catalogue in (sized(""), sized()):
        engine = engine_of([float("nan")] * 5, catalogue=catalogue)
        filings = {f"I{i}": (0.9, float("nan")) for i in range(4)}
        told = file(engine, filings, LATER)
        found = told[0].coverage["peer_median(x)"]
        assert (found.share, found.by) == (0.8, "count")


@pytest.mark.parametrize(("share", "known"), [("90%", True), ("91%", False)])
def test_a_rule_may_ask_for_another_share(share: str, known: bool) -> None:
    told = file(engine_of([90, 5, 5], f", min_coverage: {share}"), {"I0": (0.9, 90)}, LATER)
    assert bool(told) is known


def test_of_fewer_than_ten_peers_the_alert_says_so_in_both_languages() -> None:
    told = file(engine_of([1.0] * 9), {f"I{i}": (0.9, 1.0) for i in range(9)}, LATER)
    (note,) = told[0].notes
    assert note["en"].startswith("peer_median(x): only 9 peers")
    assert "仅9家" in note["zh"]
    said = message(Notice("firing", Alert(told[0].alert_id, told[0].seen_at, told[0])), lambda code: {})
    assert note["en"] in said
    assert note["zh"] in said


def test_ten_are_enough_to_say_nothing() -> None:
    told = file(engine_of([1.0] * 10), {f"I{i}": (0.9, 1.0) for i in range(10)}, LATER)
    assert told[0].notes == []


def test_new_institutions_are_compared_with_those_of_their_year_for_five_years() -> None:
    """Opened in 1967: with its class until the end of 1971, and in its peer group from 1972 on."""
    engine = engine_of([1.0] * 4, ", min_coverage: 100%")
    for code in ("I2", "I3"):
        known = engine.institutions[engine.row(code)]
        engine.put_institution(msgspec.structs.replace(known, opened="1967-05-01"))
    old_and_new = {"I0": (0.1, 1.0), "I1": (0.1, 1.0), "I2": (0.9, 1.0), "I3": (0.9, 1.0)}
    assert [t.subject for t in file(engine, old_and_new, LATER)] == ["I2", "I3"]
    resolved = file(engine, {**old_and_new, "I1": (0.2, 1.0), "I3": (0.2, 1.0)}, 2 * 365 + 90)
    assert [(t.subject, t.state) for t in resolved] == [("I2", "resolved"), ("I3", "resolved")]


def test_a_size_that_nobody_reports_is_an_error_of_the_catalogue() -> None:
    with pytest.raises(CatalogueError, match=r"there is no reported indicator 'asets' \(did you mean 'assets'\?\)"):
        sized("size: asets\n")
