"""What stands behind an alert besides the values read: parameters, coverage, waivers, and until when to act."""

from __future__ import annotations

from collections.abc import Mapping

from rules.aggregates import coverages
from rules.calendar import DAY, act_by, act_is_provisional, format_instant
from rules.catalogue import Form
from rules.context import Context, World
from rules.judge import ESCALATED, FIRING, RELEASED, Lapse, Said
from rules.muting import waiver_at
from rules.peers import FEW_PEERS
from rules.plan import Node, Rule
from rules.reading import parse_deadline
from rules.rendering import render as render_value
from rules.spans import EVER
from rules.store import NEVER, Indices
from rules.transitions import Applied, Covered, Overdue, Waived


def act_until(rule: Rule, said: Said, world: World) -> tuple[str, bool]:
    """Return until when to act, and whether that is provisional.

    It is counted anew whenever people are told of something graver than before.
    """
    deadline = parse_deadline(rule.deadline)
    if deadline is None or said.event.muted or said.event.kind not in (FIRING, ESCALATED, RELEASED):
        return "", False
    if said.event.kind == FIRING and said.event.previous:  # its data came back: people were told of it before
        return "", False
    counted = (deadline, said.seen_at, world.country, world.catalogue.timezone)
    return act_by(*counted), act_is_provisional(*counted)


def waived(rule: Rule, institution: str, at: int) -> Waived | None:
    """Return the waiver that an institution has from a rule at an as-of second."""
    found = waiver_at(rule, institution, at)
    return None if found is None else Waived(found.reason, found.document, found.approver, last_day(found.until))


def covered_by(rule: Rule, context: Context, at: Indices) -> list[dict[str, Covered]]:
    """Return, for each place of the context, of whom the rule's values across institutions are made."""
    out: list[dict[str, Covered]] = [{} for _ in at]
    if rule.across:
        context = Context(context.world, context.rows[at], context.at[at])
    for node in rule.across:
        for found, c in zip(out, coverages(node, context), strict=True):
            if c is not None:
                found[render_value(node)] = Covered(c.expected, c.filed, c.values, c.share, c.by)
    return out


def unconfirmed(form: Form, as_of: str) -> dict[str, str]:
    """Say that a filing was judged though nobody answered for its units."""
    return {
        "en": f"{form.id} as of {as_of} is unconfirmed: its units were in question, and nobody answered in time",
        "zh": f"{form.title.get('zh', form.id)}（{as_of}）未经确认：计量单位存疑，逾期无人答复",
    }


def enough_peers(node: Node, context: Context, at: Indices) -> list[int]:
    """Return, for each place, of how many institutions a value among peers is made; 0 for fewer than ten."""
    inside = Context(context.world, context.rows[at], context.at[at])
    counts = [0 if c is None else c.values for c in coverages(node, inside)]
    return [count if count >= FEW_PEERS else 0 for count in counts]


def notes(covered: Mapping[str, Covered]) -> list[dict[str, str]]:
    """Say what a reader must know to weigh the alert: values among fewer than ten peers."""
    few = [(name, c.values) for name, c in covered.items() if name.startswith("peer_") and c.values < FEW_PEERS]
    return [
        {
            "en": f"{name}: only {n} peer{'s' if n != 1 else ''}, an outlier among them weighs heavily",
            "zh": f"{name}：可比机构仅{n}家，易受个别极端值影响",
        }
        for name, n in few
    ]


def overdue(lapse: Lapse, world: World) -> Overdue:
    """Say which form did not come, as readers see it."""
    title = world.catalogue.forms[lapse.form].title
    return Overdue(lapse.form, format_instant(lapse.since), format_instant(lapse.newest), title)


def last_day(until: int) -> str:
    """Return the ISO date of the last day before `until`; empty where there is no end."""
    return "" if until == EVER else format_instant(until - DAY)


def in_force(rule: Rule, context: Context, at: Indices) -> list[dict[str, Applied]]:
    """Return, for each place of the context, the rule's parameters and the rows that they come from."""
    out: list[dict[str, Applied]] = [{} for _ in at]
    for name in rule.settings:
        table = context.world.settings[name]
        currency = context.world.catalogue.currency
        unit = currency if table.setting.unit == "currency" and currency else table.setting.unit
        rows = table.index(context.world, context.rows[at], context.at[at]).tolist()
        for applied, chosen in zip(out, rows, strict=True):
            if chosen < 0:
                applied[name] = Applied(None, unit)
                continue
            row = table.setting.rows[chosen]
            since = "" if row.since == NEVER else format_instant(row.since)
            applied[name] = Applied(row.value, unit, row.whom, row.basis, row.author, since, last_day(row.until))
    return out
