"""Where a rule comes from and until when it counts: validity, retirement, old names, statements of the Plan.

Ids are for ever: alerts of years ago carry them, so an id that a rule once had is nobody else's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rules.keys import RELATED, RETIRED, names
from rules.plan import Retirement, Rule, Validity
from rules.problems import Place, Problem
from rules.source import Reader
from rules.spans import dates, day


def read_validity(r: Reader) -> Validity | None:
    """Return a rule's `valid`, None without; what is wrong goes to the reader's problems."""
    if "valid" not in r.data:
        return None
    inner = Reader(r.data["valid"], r.problems, "'valid'")
    inner.only(("from", "to"))
    since, until = dates(inner)
    if isinstance(inner.value.data, dict) and not inner.data.keys() & {"from", "to"}:
        inner.problem(inner.value.place, "dates", "'valid' needs 'from' or 'to'")
    return Validity(since, until)


def read_retirement(r: Reader, status: str) -> Retirement | None:
    """Return a rule's `retired`, which it must have if and only if its status says so."""
    if "retired" not in r.data:
        if status == "retired":
            fix = "write retired: {on: 2026-03-31, reason: …}"
            r.problem(r.place("status"), "retired", f"{r.what} is retired and does not say when and why", fix)
        return None
    inner = Reader(r.data["retired"], r.problems, "'retired'")
    inner.only(names(RETIRED))
    if status != "retired":
        summary = f"{r.what} has 'retired', its status is {status}"
        r.problem(r.value.key_places.get("retired", r.value.place), "retired", summary, "write status: retired")
    reason = inner.text("reason") if inner.data else ""
    on = day(inner, "on")
    if inner.data and not inner.text("on"):
        return None
    return Retirement(on.isoformat() if on else "", reason)


def read_related(r: Reader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (renamed_from, replaces) of a rule's `related`."""
    if "related" not in r.data:
        return (), ()
    inner = Reader(r.data["related"], r.problems, "'related'")
    inner.only(names(RELATED))
    return tuple(inner.strings("renamed_from")), tuple(inner.strings("replaces"))


def check_ids(rules: Sequence[Rule], places: Mapping[str, Place], problems: list[Problem]) -> None:
    """Report ids that are used again: an old name as a rule's id, or by two rules; a replaced rule that goes on."""
    by_id = {rule.id: rule for rule in rules}
    owner: dict[str, str] = {}
    for rule in rules:
        for old in rule.renamed_from:
            if old in by_id:
                summary = f"the rule {rule.id!r} was called {old!r}, which is a rule of its own at {places[old]}"
                problems.append(
                    Problem(places[rule.id], "related", summary, "ids are for ever: give that one a new name")
                )
            elif owner.setdefault(old, rule.id) != rule.id:
                summary = f"two rules were called {old!r}: {owner[old]!r} and {rule.id!r}"
                problems.append(Problem(places[rule.id], "related", summary, "only one of them keeps its alerts"))
        for replaced in rule.replaces:
            if replaced in by_id and by_id[replaced].status != "retired":
                summary = f"the rule {rule.id!r} replaces {replaced!r}, which is not retired"
                problems.append(Problem(places[replaced], "related", summary, "give it status: retired"))
