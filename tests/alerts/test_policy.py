"""The desk's policy: what it may say, and what is said of mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from alerts.policy import PolicyError, read_policy, schema

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "alerts.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_is_a_policy_with_the_defaults() -> None:
    """It is read, meets the published schema, and its numbers are those that hold without a file."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    policy = read_policy(example, "guanlan-desk.yaml", {"WECOM_KEY": "k"})
    plain = read_policy("targets: []", "guanlan-desk.yaml")
    assert [target.name for target in policy.targets] == ["liquidity-desk", "case-system"]
    assert policy.targets[0].url == "wecombot://k"
    assert (policy.again, policy.digest, policy.gather, policy.settle, policy.tries) == (
        plain.again,
        plain.digest,
        plain.gather,
        plain.settle,
        plain.tries,
    )
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(example))


def test_the_published_schema_is_current() -> None:
    """`docs/schemas/desk.json` is what the code says; `python -m alerts.policy` writes it."""
    assert json.loads((DOCS / "schemas" / "desk.json").read_text(encoding="utf-8")) == schema()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target: []", "desk.yaml:1:1: error: the policy has no key 'target'"),
        ("gather: 5", "desk.yaml:1:9: error: 'gather' must be a duration, not '5'"),
        ("timezone: Mars", "desk.yaml:1:11: error: no time zone 'Mars'"),
        ("again:\n  worsened: 0.5", "desk.yaml:2:13: error: 'worsened' is a factor above 1"),
        ("targets:\n  - {name: a, url: 'x://$' , severity: dire}", "desk.yaml:2:40: error: 'severity' can't be 'dire'"),
        ("targets:\n  - {name: a b, url: 'x://y'}", "desk.yaml:2:12: error: a target can't be called 'a b'"),
        ("targets:\n  - {name: a, url: 'x://${NO}'}", "the environment has no variable NO"),
        ("targets:\n  - {name: a, url: y}", "desk.yaml:2:20: error: 'url' has no scheme"),
        ("targets:\n  - {name: a}", "desk.yaml:2:5: error: a target needs 'url'"),
        ("targets: [{name: a, url: 'x://y'}, {name: a, url: 'x://z'}]", "two targets are called 'a'"),
        ("targets: [{name: a, url: 'x://y', hours: {days: someday}}]", "'days' can't be 'someday'"),
        ("targets: [{name: a, url: 'x://y', hours: {from: 25:00}}]", "'from' is a time"),
        ("flapping: {openings: 1}", "'openings' is at least 2"),
        ("a: [", "not valid YAML"),
    ],
)
def test_mistakes_are_named_with_line_and_column(text: str, said: str) -> None:
    """Each is one sentence that says where, what and how to mend it."""
    with pytest.raises(PolicyError, match=re.escape(said)):
        read_policy(text, "desk.yaml", {})
