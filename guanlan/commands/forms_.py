"""`guanlan forms`: the forms that institutions file, and the order of their indicators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rules.scale import span

if TYPE_CHECKING:
    from rules.catalogue import Catalogue, Indicator

PROVISIONAL = {
    "en": "* provisional: working days until then are not announced yet",
    "zh": "* 暂定：相关日期的放假调休安排尚未公布",
}


def command(
    form: Annotated[str, typer.Argument(help="Show this form's indicators, in its order.")] = "",
    json_lines: Annotated[bool, typer.Option("--json", help="One form a line, as JSON.")] = False,
    language: Annotated[str | None, typer.Option(help="Language of titles.")] = None,
    catalogue: Annotated[list[str] | None, typer.Option(help="Catalogue, by name or file.")] = None,
) -> None:
    """List the forms with their versions and next due days, or one form with its indicators."""
    from datetime import UTC, datetime

    import msgspec
    from rich.console import Console
    from rich.table import Table

    from guanlan.settings import load_settings
    from rules.catalogue import load_catalogue
    from rules.problems import InputError, nearest
    from streams.diagnose import is_filed

    settings = load_settings(catalogue=catalogue, language=language)
    now, marked = int(datetime.now(UTC).timestamp()), False
    known = load_catalogue(settings.catalogue)
    filed = [name for name in known.forms if is_filed(name)]
    if form and form not in filed:
        raise InputError(f"there is no form {form!r} to file; {nearest(form, filed)}".rstrip("; "))
    if json_lines:
        for name in [form] if form else filed:
            typer.echo(msgspec.json.encode(_as_data(known, name, now)).decode())
        return
    if form:
        typer.echo(f"{form}, version {_version(known, form)}")
        shown = Table("", "indicator", "unit", "range", "plausible", "title", box=None, pad_edge=False)
        for place, name in enumerate(known.reported(form)):
            indicator = known.indicators[name]
            title = _title(indicator.title, settings.language)
            shown.add_row(str(place), name, indicator.unit, *_ranges(indicator), title)
    else:
        shown = Table("form", "version", "frequency", "due", "indicators", "title", box=None, pad_edge=False)
        for name in filed:
            told = known.forms[name]
            count = str(len(told.indicators))
            title = _title(told.title, settings.language)
            due, provisional = _next_due(known, name, now)
            marked = marked or provisional
            due = f"{due} *" if provisional else due or "-"
            shown.add_row(name, _version(known, name), told.frequency, due, count, title)
    Console(soft_wrap=True, highlight=False, markup=False).print(shown)
    if marked:
        typer.echo(PROVISIONAL[settings.language])


def _as_data(catalogue: Catalogue, form: str, now: int) -> dict[str, Any]:
    due, provisional = _next_due(catalogue, form, now)
    return {
        "form": form,
        "version": _version(catalogue, form),
        "frequency": catalogue.forms[form].frequency,
        "due": due,
        "due_provisional": provisional,
        "indicators": catalogue.reported(form),
    }


def _next_due(catalogue: Catalogue, form: str, now: int) -> tuple[str, bool]:
    """Return the last day, or moment, of the next deadline, and whether it may move; empty without one."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from rules.calendar import is_provisional, next_due

    told = catalogue.forms[form]
    coming = next_due(told, now, catalogue.country)
    if coming is None:
        return "", False
    due, as_of = coming
    last = datetime.fromtimestamp(due - 1, ZoneInfo(told.zone))
    text = last.strftime("%Y-%m-%d" if (last.hour, last.minute) == (23, 59) else "%Y-%m-%d %H:%M")
    return text, is_provisional(told, as_of, catalogue.country)


def _version(catalogue: Catalogue, form: str) -> str:
    from streams.encodings import form_version

    return form_version(form, catalogue.reported(form))


def _title(title: dict[str, str], language: str) -> str:
    return title.get(language) or next(iter(title.values()), "")


def _ranges(indicator: Indicator) -> tuple[str, str]:
    """Return what is accepted and what is plausible; the second is empty where it is the same."""
    accepted, plausible = (indicator.low, indicator.high), (indicator.likely_low, indicator.likely_high)
    return span(*accepted), "" if plausible == accepted else span(*plausible)
