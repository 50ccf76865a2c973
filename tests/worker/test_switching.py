"""A release is taken by both sides or by none, and what it tells is sent or nothing is saved."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from rules.engine import Engine, Outcome
from rules.pack import PackText, Program
from streams.exporter import Pipeline
from streams.releases import Release, Text, hash_of
from streams.side import Effects
from streams.switching import Releases, Unsent, switch
from streams.system import SystemSide
from streams.values import ValueBook
from streams.watch import Watch
from tests.worker.memory import filing, lcr_below, opened, system, take, watch

NOW = 1_777_000_000


def release(percent: int) -> tuple[Any, Release]:
    """Return a record of the topic of releases, of rules that fire below so many percent."""
    texts = (Text("p.yaml", str(percent)),)
    made = Release(1, hash_of(texts), "Wang Wei", "Li Na", "2026-04-01T00:00:00Z", texts)
    return SimpleNamespace(offset=0, value=msgspec.json.encode(made), topic="rules"), made


async def sides() -> tuple[Watch, SystemSide]:
    """Return both sides; the first bank's coverage is 95 %, and nothing fires below 90 %."""
    one, two = await opened(watch(lcr_below(90))), await opened(system())
    assert not take(one, [filing(1, "2026-04-01", lcr=0.95)]).transitions
    return one, two


def compiled(texts: list[PackText]) -> Program:
    """Compile a release of `release`."""
    return lcr_below(int(texts[0].text))


FAILURES = {
    "the second side's open alerts can't be judged again": (Engine, "rejudge"),
    "the second side can't go by the rules": (ValueBook, "__init__"),
    "the second side's engine can't be made": (Engine, "__init__"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_release_that_fails_on_the_second_side_changes_nothing(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both engines stay, nothing is told, the release in force is that before; the next that can be run is taken."""
    owner, name = FAILURES[what]

    async def run() -> None:
        one, two = await sides()
        before = one.engine, two.engine
        sent: list[Effects] = []
        metrics = Pipeline(CollectorRegistry())

        async def go_on(program: Program) -> None:
            sent.append(await switch(one, two, program, NOW))

        releases = Releases("", "rules", compiled, None, metrics)
        releases.switch = go_on
        record, made = release(100)
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, _fails_for(two, getattr(owner, name)))
            await releases._put(record)
        assert (one.engine, two.engine) == before
        assert (sent, releases.release, metrics.releases_rejected._value.get()) == ([], None, 1)
        assert not take(one, [filing(2, "2026-04-02", lcr=0.95)]).transitions  # judged by the rules before
        await releases._put(record)
        assert releases.release == made
        (effects,) = sent
        assert effects.transitions == {("firing", "watch"): 1}
        assert one.engine is not before[0]
        assert two.engine is not before[1]

    asyncio.run(run())


def _fails_for(system: SystemSide, real: Any) -> Any:
    """Return what fails for the system side's part of a program, and does as before for the other."""

    def maybe(self: Any, *given: Any, **named: Any) -> Outcome:
        first = given[0] if given else None
        program = first if isinstance(first, Program) else getattr(self, "program", None)
        if program is None or not any(rule.placement == "watch" for rule in program.rules):
            raise RuntimeError("a bug")
        return real(self, *given, **named)  # type: ignore[no-any-return]

    return maybe


def test_a_release_that_is_taken_and_not_told_ends_the_worker() -> None:
    """Passed over it can't be: the engines are others already, and a checkpoint would save them without the alerts."""

    async def run() -> None:
        one, two = await sides()

        async def go_on(program: Program) -> None:
            await switch(one, two, program, NOW)
            raise Unsent("no room")

        releases = Releases("", "rules", compiled, None, Pipeline(CollectorRegistry()))
        releases.switch = go_on
        with pytest.raises(Unsent):
            await releases._put(release(100)[0])

    asyncio.run(run())


def test_all_state_is_saved_again_after_a_switch() -> None:
    """A checkpoint before the next filing writes what the release made of every block."""

    async def run() -> None:
        one, two = await sides()
        one.keeper.dirty.clear()
        await switch(one, two, lcr_below(100), NOW)
        assert set(one.keeper.dirty[0]) == {name for _, name, _ in one.blocks()}

    asyncio.run(run())
