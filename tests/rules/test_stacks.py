"""Rules of one shape are judged together: what they say must be what each of them says alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import at_most
from tests.rules.generated import EIGHTHS, LEVELS, World, batches, filings, in_order, world
from tests.rules.reference import Filing
from tests.rules.test_agreement import expected, one_by_one, standing

SHAPES = (
    "{x}",
    "{x} + {c} * {y}",
    "{x} / {y}",
    "change({x}, 1)",
    "lag({x}, 2) - {x}",
    "mean({x}, '3 filings')",
    "mean({x} + {c}, '70d')",
    "max({x}, {c}) - min({y}, '2 filings')",
    "max({x}, '5 filings')",
    "median({x}, '3 filings')",
    "std({x}, '4 filings')",
    "zscore({x}, '3 filings')",
    "({x} if {y} > {c} else abs({y}))",
    "({c} if missing({x}) else {x})",
    "quotient * {x}",
)
WHERE = ("type in BANKS", "b > 0.5", "missing(g)", "institution.dsib_bucket >= 1")


@st.composite
def alike(draw: st.DrawFn) -> list[dict[str, object]]:
    """Two to five rules of one shape, and one that is another, which differ in indicators, bounds and `for`."""
    found: list[dict[str, object]] = []
    shape, sign = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(["<", "<=", ">", ">="]))
    where, clear = draw(st.none() | st.sampled_from(WHERE)), draw(st.booleans())
    odd, known = draw(st.sampled_from(SHAPES)), draw(st.sampled_from(["ab", "fg"]))
    for number in range(draw(st.integers(3, 6))):
        x, y = draw(st.permutations(known))
        text = (shape if number else odd).format(x=x, y=y, c=abs(draw(EIGHTHS)))
        bounds = sorted(n / 8 + 0.0137 for n in draw(st.sets(st.integers(-8, 16), min_size=1, max_size=3)))
        if sign.startswith("<"):
            bounds.reverse()
        names = LEVELS[-len(bounds) :]
        rule: dict[str, object] = {
            "id": f"r{number}",
            "levels": {name: f"{text} {sign} {bound}" for name, bound in zip(names, bounds, strict=True)},
            "for": draw(st.sampled_from(["1 filing", "2 filings", "40d"])),
        }
        if clear:
            rule["clear"] = f"not ({text} {sign} {bounds[0]}) for 2 filings"
        if where:
            rule["where"] = where
        found.append(rule)
    return found


def test_rules_that_differ_in_names_and_numbers_make_a_stack() -> None:
    """Another function, another comparison or a `where` that reads the same indicator keeps a rule apart."""
    levels = ["a > 0.5", "b > 1.5", "a < 0.5", "mean(a, '3 filings') > 1", "mean(b, '3 filings') > 2"]
    made: list[dict[str, object]] = [{"id": f"r{n}", "levels": {"watch": level}} for n, level in enumerate(levels)]
    made.append({"id": "apart", "levels": {"watch": "b > 2"}, "where": "b > 0"})
    groups = world(made).engine().groups
    found = [[rule.id for rule in group.rules[stack.members]] for group in groups for stack in group.stacks]
    assert found == [["r0", "r1"], ["r3", "r4"]]


@at_most(100)
@given(alike().map(world), filings())
def test_stacked_rules_have_the_states_of_the_reference(made: World, arriving: list[Filing]) -> None:
    engine, often = made.engine(), max(1, len(arriving) // 3)
    for first in range(0, len(arriving), often):
        engine.apply(batches(engine, arriving[first : first + often]))
        assert standing(engine) == expected(made.reference.states(arriving[: first + often]))


@at_most(50)
@given(alike(), filings().map(in_order))
def test_a_stack_says_and_counts_what_its_rules_do_alone(
    found: list[dict[str, object]], arriving: list[Filing]
) -> None:
    together = world(found).engine()
    said = one_by_one(together, arriving)
    for rule in found:
        single = world([rule]).engine()
        assert [t.id for t in one_by_one(single, arriving)] == [t.id for t in said if t.rule == rule["id"]]
        assert single.unknown_counts().items() <= together.unknown_counts().items()
