"""Alert events on the wire: what readers of the topic may rely on."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.events import CONTENT_TYPE, NotATransition, decode, encode, schema
from rules.transitions import Overdue, Reading, Transition
from tests.alerts.samples import episode, transition

DOCS = Path(__file__).parents[2] / "docs"
REQUIRED = ("id", "source", "specversion", "type")

words = st.text(min_size=1, max_size=12)
texts = st.dictionaries(words, words, max_size=3)
readings = st.builds(
    Reading,
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    unit=st.sampled_from(["ratio", "CNY", "count"]),
    as_of=st.none() | st.dates().map(str),
    revision=st.none() | st.integers(0, 9),
    offset=st.none() | st.integers(0, 2**53),
)
transitions = st.builds(
    transition,
    state=st.sampled_from(["pending", "firing", "escalated", "eased", "resolved"]),
    subject=words,
    rule=words,
    values=st.dictionaries(words, readings, max_size=4),
    title=texts,
    message=texts,
    labels=texts,
    pack=st.text(max_size=8),
    tags=st.lists(words, max_size=3),
)


@given(transitions)
def test_round_trip(event: Transition) -> None:
    """What is encoded is read back unchanged."""
    _, value, _ = encode(event)
    assert decode(value) == event


@given(transitions)
def test_same_transition_same_bytes(event: Transition) -> None:
    """The order in which dictionaries were filled does not show."""
    turned = msgspec.structs.replace(
        event,
        values=dict(reversed(event.values.items())),
        title=dict(reversed(event.title.items())),
        labels=dict(reversed(event.labels.items())),
    )
    assert encode(turned) == encode(event)


@given(transitions)
def test_every_event_meets_the_published_schema_and_cloudevents(event: Transition) -> None:
    """The value holds to `docs/schemas/alert.json`, and the attributes to CloudEvents 1.0."""
    key, value, headers = encode(event)
    told = json.loads(value)
    jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker()).validate(told)
    assert all(isinstance(told[name], str) and told[name] for name in REQUIRED)
    assert told["specversion"] == "1.0"
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in told)
    assert re.fullmatch(r"[!-~]+", told["source"]), "a URI reference has no spaces and no other alphabets"
    assert datetime.fromisoformat(told["time"]).tzinfo is not None
    assert key == event.subject.encode()
    assert dict(headers) == {
        "content-type": CONTENT_TYPE.encode(),
        "ce_id": event.id.encode(),
        "ce_type": f"guanlan.alert.{event.state}".encode(),
    }


def test_published_schema_is_current() -> None:
    """`docs/schemas/alert.json` is what the code says; `python -m alerts.events` writes it."""
    assert json.loads((DOCS / "schemas" / "alert.json").read_text(encoding="utf-8")) == schema()


def test_page_tells_every_field() -> None:
    """`docs/alerts.md` has a row for each field of a transition and of a reading."""
    page = (DOCS / "alerts.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    fields = {f.name for struct in (Transition, Reading, Overdue) for f in msgspec.structs.fields(struct)}
    assert fields <= told


def test_example_of_the_page_is_an_event() -> None:
    """The JSON example on the page is exactly what `encode` writes for the transition it carries."""
    page = (DOCS / "alerts.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    event = decode(example.encode())
    assert json.loads(encode(event)[1]) == json.loads(example)


def test_program_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The reader on the page, given an episode with repeats, prints each change once."""
    page = (DOCS / "alerts.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    space: dict[str, object] = {}
    exec(compile(program, "docs/alerts.md", "exec"), space)
    values = [encode(event)[1] for event in episode()]
    space["follow"]([*values[:2], *values])  # type: ignore[operator]
    assert capsys.readouterr().out.splitlines() == [
        "CN001 bank.liquidity.lcr firing watch",
        "CN001 bank.liquidity.lcr escalated critical",
        "CN001 bank.liquidity.lcr eased watch",
        "CN001 bank.liquidity.lcr resolved none",
    ]


def test_unknown_keys_are_passed_over() -> None:
    """A reader of today reads events that a later version has added to."""
    event = transition()
    told = json.loads(encode(event)[1])
    told["data"]["later"] = {"a": 1}
    told["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert decode(json.dumps(told).encode()) == event


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "Expected `object`"),
        (b'{"specversion":"1.0"}', "missing required field `id`"),
        (b"[" * 100_000, "not an alert event"),
        (encode(transition())[1].replace(b'"critical"', b'"dire"').replace(b'"watch"', b'"dire"'), "dire"),
        (encode(transition())[1].replace(b"guanlan.alert.firing", b"guanlan.case.closed"), "guanlan.case.closed"),
    ],
)
def test_anything_else_is_one_error(value: bytes, said: str) -> None:
    """A record that is no transition raises NotATransition that says what is wrong, and nothing else."""
    with pytest.raises(NotATransition, match=re.escape(said)):
        decode(value)


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(value: bytes) -> None:
    """Whatever bytes lie on the topic, a reader gets a transition or NotATransition."""
    try:
        found: object = decode(value)
    except NotATransition as err:
        found = err
    assert isinstance(found, Transition | NotATransition)
