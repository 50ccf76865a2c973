"""Transitions on the wire: CloudEvents 1.0, structured JSON, the same bytes for the same transition.

The page for readers of the topic is `docs/alerts.md`; the schema is `docs/schemas/alert.json`.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from rules.problems import InputError
from rules.transitions import Transition

SCHEMA_ID = "urn:guanlan:schema:alert:1"
CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
TYPE_PREFIX = "guanlan.alert."

EventType = Literal[
    "guanlan.alert.pending",
    "guanlan.alert.firing",
    "guanlan.alert.escalated",
    "guanlan.alert.eased",
    "guanlan.alert.resolved",
    "guanlan.alert.suppressed",
    "guanlan.alert.released",
    "guanlan.alert.stale",
    "guanlan.alert.worsened",
]


class NotATransition(InputError):
    """A record on the topic is not an event that carries a transition."""


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One transition of an alert, as a CloudEvent."""

    specversion: Annotated[Literal["1.0"], Meta(description="Version of CloudEvents.")]
    id: Annotated[str, Meta(min_length=1, description="The transition's id. One seen before is a repeat.")]
    source: Annotated[str, Meta(min_length=1, description="/guanlan/ and the rule pack's name.")]
    type: Annotated[EventType, Meta(description="guanlan.alert. and the state that was entered.")]
    subject: Annotated[str, Meta(min_length=1, description="Who the alert is about; also the key of the Kafka record.")]
    datacontenttype: Annotated[Literal["application/json"], Meta(description="Media type of data.")]
    dataschema: Annotated[str, Meta(description="Names the schema of data and its version.")]
    data: Annotated[Transition, Meta(description="The transition, with the evidence as it was.")]
    time: (
        Annotated[
            str,
            Meta(
                description="When the filing that showed it was submitted (data.seen_at), RFC 3339.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Event)
_CONTENT = ("content-type", CONTENT_TYPE.encode())
_SCHEMA = f"{SCHEMA_ID}#/$defs/Transition"


def encode(transition: Transition) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Return the Kafka record of a transition: key, value, headers.

    The headers repeat id and type, as the Kafka binding of CloudEvents allows, so that a reader may pass over
    a record without parsing it. A number that is not finite becomes null.
    """
    kind: EventType = f"{TYPE_PREFIX}{transition.state}"  # type: ignore[assignment]
    event = Event(
        "1.0",
        transition.id,
        _source(transition.pack),
        kind,
        transition.subject,
        "application/json",
        _SCHEMA,
        transition,
        instant(transition.seen_at) or msgspec.UNSET,
    )
    headers = [_CONTENT, ("ce_id", transition.id.encode()), ("ce_type", kind.encode())]
    return transition.subject.encode(), _encoder.encode(event), headers


@lru_cache(maxsize=1000)
def _source(pack: str) -> str:
    return f"/guanlan/{quote(pack, safe='')}"


def decode(value: bytes) -> Transition:
    """Read a transition from a record's value; keys that are not known are passed over.

    Raises NotATransition, naming the place, for anything else.
    """
    try:
        return _decoder.decode(value).data
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as err:
        raise NotATransition(f"not an alert event: {err}") from None


def instant(moment: str) -> str:
    """Return an ISO date or instant as the RFC 3339 timestamp that it means.

    >>> instant("2026-03-31")
    '2026-03-31T00:00:00Z'
    """
    return f"{moment}T00:00:00Z" if len(moment) == len("2026-03-31") else moment


def schema() -> dict[str, object]:
    """Return the JSON Schema of an event, as published in `docs/schemas/alert.json`."""
    _, definitions = msgspec.json.schema_components([Event], ref_template="#/$defs/{name}")
    event = evened(definitions).pop("Event")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **event,
        "$defs": definitions,
    }


def evened(definitions: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return definitions of a JSON Schema with descriptions indented alike, whatever versions made them.

    They come from docstrings, whose indentation depends on the versions of Python and msgspec.
    """
    for definition in definitions.values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    return definitions


if __name__ == "__main__":
    import json
    from pathlib import Path

    page = Path(__file__).parents[1] / "docs" / "schemas" / "alert.json"
    page.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
