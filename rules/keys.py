"""The keys that packs and test files know: one table that the reader, `rules/schema.json` and editors go by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rules.catalogue import UNITS
from rules.transitions import SEVERITIES

Kind = Literal[
    "text", "words", "expression", "clear", "span", "deadline", "id", "choice", "texts", "flag", "number", "date",
    "mapping", "open", "list", "message", "level", "named", "basis", "heeded", "by_level",
]  # fmt: skip

SCOPES = ("institution", "system")
STATUSES = ("shadow", "trial", "live", "retired")
LADDER = SEVERITIES[1:]


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its name, what may stand there, and what an author reads about it.

    kind    text · words (text, or texts by language) · message (words with {expression:format} parts) ·
            expression · level (an expression, not empty) · clear (expression, then a span) · span · deadline ('5bd') ·
            id · date (ISO) · choice (of `options`) · texts (one or a list) · flag · number · mapping (of `keys`) ·
            open (a mapping with any further keys) · basis (a text, or open) · list (of mappings of `keys`) ·
            named (a mapping of names to mappings of `keys`) · heeded (rule ids, or mappings of `keys`) ·
            by_level (words, or a mapping of `keys`)
    default may stand under a pack's `defaults`, for all its rules
    """

    name: str
    kind: Kind
    doc: str
    required: bool = False
    default: bool = False
    options: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()


EVIDENCE = (
    Key("watch", "text", "Of the lowest level."),
    Key("warning", "text", "Of the middle level."),
    Key("critical", "text", "Of the highest level."),
    Key("scope", "text", "Of whom the rule is for."),
    Key("note", "text", "What else there is to say."),
)
SOURCE = (
    Key("document", "text", "The law, rule or guideline; null where the rule is somebody's own proposal."),
    Key("number", "text", "The document's number."),
    Key("article", "text", "The article or paragraph; several by comma.", examples=("37",)),
    Key("verified_on", "date", "When somebody compared the rule with the official text; null while nobody has."),
)
HOW_FAR = "known or seen for the law's own line, proposal or custom for another; a remark may follow."
BASIS = (
    *SOURCE,
    Key("evidence", "by_level", HOW_FAR, examples=("proposal",), keys=EVIDENCE),
)
ROW_BASIS = (*SOURCE, Key("evidence", "text", HOW_FAR, examples=("proposal",)))
LEVELS = (
    Key("watch", "level", "The lowest level: somebody should look.", examples=("lcr < 120%",)),
    Key("warning", "level", "The middle level: somebody must act.", examples=("lcr < 105%",)),
    Key("critical", "level", "The highest level: act now.", examples=("lcr < 100%",)),
)
ACTIONS = (
    Key("watch", "words", "What to do at the lowest level."),
    Key("warning", "words", "At the middle level."),
    Key("critical", "words", "At the highest level."),
)
TEXTS = (
    Key("escalated", "message", "A higher level holds now."),
    Key("eased", "message", "Only a lower level holds now."),
    Key("resolved", "message", "No level holds any more: what is so instead.",
        examples=("LCR back at {lcr:.1%}",)),
    Key("stale", "message", "The data ran out; the alert stays open."),
    Key("suppressed", "message", "The open alert is silenced."),
    Key("released", "message", "Nothing silences it any more."),
)  # fmt: skip
FROM = Key("from", "date", "The first as-of date.", examples=("2026-01-01",))
TO = Key("to", "date", "The last as-of date.", examples=("2026-12-31",))
INHIBITOR = (
    Key("rule", "text", "The rule whose open alert silences this one's.", True),
    Key("level", "choice", "The level it must have reached; left out, any.", options=LADDER),
)
RETIRED = (
    Key("on", "date", "Since when.", True),
    Key("reason", "text", "Why, and what to use instead.", True),
)
RELATED = (
    Key("renamed_from", "texts", "Names the rule had before, the oldest first: it keeps their alerts."),
    Key("replaces", "texts", "Retired rules whose place it takes."),
)
RULE = (
    Key("id", "id", "The rule's name, for ever; alerts are counted by it.", True, examples=("bank.liquidity.lcr",)),
    Key("title", "words", "What the rule is called, by language."),
    Key("basis", "open", "The legal basis, carried on the alert.", default=True, keys=BASIS),
    Key("scope", "choice", "Whom the rule speaks of: each institution, or the whole system.",
        default=True, options=SCOPES),
    Key("status", "choice", "live notifies; shadow and trial are judged and counted; retired is not judged.",
        default=True, options=STATUSES),
    Key("where", "expression", "For which institutions; left out, for all.", default=True,
        examples=("type in BANKS and total_assets >= 200bn",)),
    Key("levels", "mapping", "The ladder: the highest level that holds wins.", True, keys=LEVELS),
    Key("for", "span", "How long a level must hold before the alert opens or rises.", default=True,
        examples=("2 filings", "30d")),
    Key("clear", "clear", "What must hold, and how long, before severity falls.", default=True,
        examples=("lcr > 125% for 2 filings",)),
    Key("message", "message", "What the supervisor reads; {expression:format} inside.",
        examples=("{institution.name}: LCR {lcr:.1%}",)),
    Key("texts", "mapping", "What the supervisor reads in other states than firing; built-in sentences otherwise.",
        keys=TEXTS),
    Key("action", "by_level", "What to do, by language; or that for each level.", keys=ACTIONS),
    Key("deadline", "deadline", "By when: business days, days or hours.", default=True, examples=("5bd", "10d", "24h")),
    Key("route", "text", "Who gets the alert.", default=True),
    Key("tags", "texts", "Words to find the rule by.", default=True),
    Key("note", "text", "For authors; not carried on the alert."),
    Key("unless", "expression", "While it holds, the alert is suppressed: computed, shown, and told to nobody.",
        default=True, examples=("dsib_bucket > 0",)),
    Key("inhibits", "texts", "Rules whose alerts for the same subject are suppressed while this one's is open."),
    Key("inhibited_by", "heeded", "Rules whose open alerts suppress this one's, for the same subject.", default=True,
        keys=INHIBITOR),
    Key("valid", "mapping", "As-of dates at which the rule is judged.", default=True, keys=(FROM, TO)),
    Key("retired", "mapping", "When and why; needed with status: retired.", keys=RETIRED),
    Key("related", "mapping", "What the rule was called before, and what it replaces.", keys=RELATED),
    Key("min_coverage", "text", "Share of a group, by assets, that must have filed before its values are known.",
        default=True, examples=("90%",)),
    Key("plan", "texts", "Statements of the Plan that the rule serves; carried on the alert.", default=True,
        examples=("P-12",)),
)  # fmt: skip
ROW = (
    Key("value", "text", "The value; percent and magnitudes as in expressions.", True, examples=("105%", "200bn")),
    Key("type", "text", "For institutions of this type; with none of the four, the default."),
    Key("peer_group", "text", "For this peer group."),
    Key("dsib_bucket", "number", "For this bucket of systemic importance."),
    Key("institution", "text", "For this institution."),
    Key("basis", "basis", "On what basis the value was set.", keys=ROW_BASIS),
    Key("author", "text", "Who set it.", True),
    FROM,
    TO,
)
PARAMETER = (
    Key("title", "words", "What it is called, by language."),
    Key("unit", "choice", "Its unit, as of indicators.", True, options=UNITS),
    Key("rows", "list", "Its values; the most particular row that applies wins.", True, keys=ROW),
)
WAIVER = (
    Key("rule", "text", "The rule's id.", True),
    Key("institution", "text", "The institution's code.", True),
    Key("reason", "text", "Why.", True),
    Key("document", "text", "The decision.", True),
    Key("approver", "text", "Who decided.", True),
    FROM,
    Key("to", "date", "The last as-of date; a waiver always ends.", True),
)
PACK = (
    Key("pack", "text", "The pack's name.", True),
    Key("version", "text", "The pack's version, carried on the alert."),
    Key("title", "words", "What the pack is about, by language."),
    Key("catalogue", "texts", "The catalogues of indicators that the rules read.", examples=("cn",)),
    Key("defaults", "mapping", "Keys for every rule that does not say otherwise.",
        keys=tuple(key for key in RULE if key.default)),
    Key("parameters", "named", "Numbers that rules use by name, by institution and date.", keys=PARAMETER),
    Key("rules", "list", "The rules.", True, keys=RULE),
    Key("waivers", "list", "Institutions exempted from a rule for a time.", keys=WAIVER),
    Key("description", "words", "More about the pack."),
)  # fmt: skip
INSTITUTION = (
    Key("code", "text", "A, B, … if left out."),
    Key("name", "words", "Its name, by language."),
    Key("type", "text", "The type of institution, as in the catalogue's sets.", examples=("city_bank",)),
    Key("region", "text", "Where it is."),
    Key("peer_group", "text", "Whom it is compared with."),
    Key("lei", "text", "Legal entity identifier."),
    Key("dsib_bucket", "number", "Bucket of systemic importance; 0 for none."),
    Key("opened", "date", "When it began business; new ones are compared with each other."),
    Key("closed", "date", "From when on it owes nothing; what is open of it ends then."),
    Key("attributes", "open", "Further attributes."),
)
TEST = (
    Key("name", "text", "What the table shows.", True),
    Key("rule", "text", "The id of the rule that is tested.", True),
    Key("institution", "mapping", "The one institution that files.", keys=INSTITUTION),
    Key("institutions", "list", "Several institutions, for rules on peers and the system.", keys=INSTITUTION),
    Key("table", "text", "Dates down, what is filed across, and behind the bar what must come of it.", True,
        examples=("as_of       lcr  | level\n2025-03-31  99%  | critical\n",)),
)  # fmt: skip
TESTS = (
    Key("pack", "text", "The pack that the tests belong to."),
    Key("tests", "list", "The tests.", keys=TEST),
)


def names(keys: Iterable[Key]) -> tuple[str, ...]:
    """Return the names of the keys, in their order.

    >>> names(LEVELS)
    ('watch', 'warning', 'critical')
    """
    return tuple(key.name for key in keys)
