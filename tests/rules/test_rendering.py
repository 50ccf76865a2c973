"""What a plan is rendered as, compiles to the same plan: `explain` can't say anything else than what is run."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from rules.compiler import Compiler
from rules.expressions import ExpressionError, parse
from rules.functions import FUNCTIONS
from rules.plan import Setting
from rules.rendering import Renderer, render
from tests.rules.generated import GIVEN, catalogue, condition, exact, rough, same
from tests.rules.worlds import catalogue as small

TEXTS = st.one_of(
    condition(2), st.one_of(exact(2), same(1), rough(1)).map(lambda x: f"{x} > 0.3"), condition(1).map("not {}".format)
)


@given(TEXTS, st.sampled_from(["en", "zh"]))
def test_rendered_it_compiles_to_the_same_node(text: str, language: str) -> None:
    """In either language, derived indicators written out."""
    compiler = Compiler(catalogue())
    compiler.settings = {name: Setting(name, {}, "ratio", ()) for name in GIVEN}
    try:
        node = compiler.truth(parse(text))
    except ExpressionError as err:
        if err.check == "too-far":
            reject()
        raise
    assert compiler.truth(parse(Renderer(language=language)(node))) is node


EXAMPLES = {
    "x - (y - x) < 1%": None,
    "x / (y * x) < 1": None,
    "-(x + y) < --x": None,
    "(x if y > 0 else y) * 2 < (y if x > 0 else 1)": None,
    "not (x > 1 and y > 1 or not (x < 0))": "not (x > 1 and y > 1 or not x < 0)",
    "crossed(x, 5%)": None,
    "exists(x) and missing(y)": None,
    "change(x) < 0 and change(x, 2) < pct_change(y)": None,
    "cusum(x, y, 1%) > 3 and ewma(x, 3) > 0 and forecast(x, '365d') > 0": None,
    "quantile(x, 0.25, '90d') < mean(z, '12h')": None,
    "min(x, y, 3) > max(x, '4 filings')": None,
    "streak(x > 1) >= 2 or age(x) > 30": None,
    "overdue('q') or type == 'bank'": "overdue('q') or type in ('bank')",
    "type in BANKS and region not in ('north', 'south')": "type in BANKS and not region in ('north', 'south')",
    "firing('r') and firing('r', critical)": None,
    "peer_percentile(x) > 90% and group_sum(x, by=region) > 1": None,
    "share_of(x > 1, assets, by=type) > 5%": None,
    "assets > 200bn or assets > 1.5tn or assets > 12mn or assets > 1234.5": None,
    "1 if x > 0 else 2 if y > 0 else 3": None,
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_rendered_as_they_were_written(text: str) -> None:
    compiler = Compiler(small(), ["r"])
    sets = {tuple(sorted(types)): name for name, types in compiler.catalogue.sets.items()}
    node = compiler.any(parse(text))
    rendered = Renderer(sets=sets)(node)
    assert rendered == (EXAMPLES[text] or text)
    assert compiler.any(parse(rendered)) is node


def test_amounts_are_counted_as_the_reader_counts() -> None:
    compiler = Compiler(small())
    node = compiler.truth(parse("assets > 200bn and assets < 3000万"))
    assert Renderer(language="zh")(node) == "assets > 2000亿 and assets < 3000万"
    assert render(node) == "assets > 200bn and assets < 30mn"


def test_derived_indicators_have_their_names_where_they_are_given() -> None:
    compiler = Compiler(small())
    node = compiler.truth(parse("share < 5%"))
    assert render(node) == "x / y < 5%"
    renderer = Renderer({node.args[0].id: "share"})
    assert renderer(node) == "share < 5%"
    assert renderer.definition(node.args[0]) == "x / y"


def test_every_function_is_rendered_by_its_name() -> None:
    """None falls to the name of an inner operation."""
    arguments = {
        "lag": "x, 2", "quantile": "x, 0.5, '4 filings'", "ewma": "x, 2", "cusum": "x, 1, 2", "forecast": "x, '30d'",
        "firing": "'r'", "overdue": "q", "count": "x > 1", "streak": "x > 1", "share_of": "x > 1, y",
        "weighted_mean": "x, y", "crossed": "x, 1", "min": "x, y", "max": "x, y",
    }  # fmt: skip
    windowed = ("mean", "median", "std", "zscore", "slope")
    compiler = Compiler(small(), ["r"])
    for name in FUNCTIONS:
        given_ = arguments.get(name, "x, '4 filings'" if name in windowed else "x")
        assert render(compiler.any(parse(f"{name}({given_})"))).startswith(f"{name}(")
