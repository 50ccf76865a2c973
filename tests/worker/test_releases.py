"""Rules published while workers run: they switch between two batches, tell what changes, and nothing twice."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
import pytest
from typer.testing import CliRunner, Result

from alerts.events import decode
from guanlan.commands.rules_ import app
from guanlan.synthetic import Wide
from rules.engine import Engine
from rules.pack import Program
from rules.problems import GuanlanError
from rules.transitions import Transition
from streams.app import Worker
from streams.outbox import Outbox, Post
from streams.place import claim_folder, find_place
from tests.rules.reader import Reader, truth
from tests.worker.field import PACK, Field, Sent, direct, load, program_of, until

pytestmark = pytest.mark.needs("kafka")

SYSTEM = """
  - id: field.crowd
    title: {en: Many at once}
    scope: system
    levels: {watch: count(x0000 > 0) >= 1}
    message: {en: "{count(x0000 > 0)}"}
"""
OLD = PACK + SYSTEM
NEW = (
    OLD.replace("watch: x0000 > 1.05, warning: x0000 > 1.08", "watch: x0000 > 1.0, warning: x0000 > 1.03")
    .replace("> 0.08", "> 0.02")
    .replace(") >= 1}", ") >= 1000}")
    .replace('version: "1"', 'version: "2"')
)
WITHOUT_BOTH = re.sub(r"  - id: field\.both.*?(?=\n  - id)", "", NEW, flags=re.S)
FAILING = """
pack: field
tests:
  - name: two at once are nothing
    rule: field.both
    table: |
      as_of       x0003  x0004 | level
      2026-01-01  1.1    0.9   | none
"""
TWO = ["--author", "Wang Wei", "--approver", "Li Na"]


class Desk:
    """The commands `guanlan rules publish` and `releases`, for one field."""

    def __init__(self, field: Field, wide: Wide) -> None:
        self.catalogue = field.folder / "wide.yaml"
        self.catalogue.write_text(wide.catalogue, encoding="utf-8")
        self._pack = field.folder / "field.yaml"
        settings = field.settings()
        names = {"BOOTSTRAP": field.bootstrap, "TOPIC_PREFIX": field.prefix, "GROUP": settings.group}
        self._env = {f"GUANLAN_{name}": value for name, value in names.items()}

    def __call__(self, *arguments: str) -> Result:
        result = CliRunner().invoke(app, [*arguments], env=self._env)
        if result.exception and not isinstance(result.exception, SystemExit | GuanlanError):
            raise result.exception
        return result

    async def publish(self, pack: str, *options: str) -> Result:
        """Publish a pack, off the event loop on which the worker runs."""
        self._pack.write_text(pack, encoding="utf-8")
        arguments = ("publish", str(self._pack), "--catalogue", str(self.catalogue), *options)
        return await asyncio.to_thread(self, *arguments)


def told(field: Field) -> list[Transition]:
    """What is on the topic of alerts, repeats too, in the order of each subject."""
    return [decode(record.value) for record in field.read("alerts") if record.value]


def believed(field: Field) -> tuple[object, object]:
    """What a reader believes of the rules on single institutions."""
    return Reader(t for t in told(field) if t.rule != "field.crowd").beliefs


def judged(program: Program, wide: Wide, records: list[Sent]) -> tuple[object, object]:
    """What an engine of these rules, fed directly, has open."""
    engine = Engine(program.at("watch"), wide.institutions)
    direct(program, wide.institutions, records, engine)
    return truth(engine)


def released(worker: Worker) -> dict[str, str]:
    """What `/metrics` says of the release, and how many were refused."""
    text = httpx.get(f"http://127.0.0.1:{worker.exporter.port}/metrics").text
    (info,) = re.findall(r"^guanlan_rules_release_info\{(.*)\} 1.0$", text, flags=re.M)
    (refused,) = re.findall(r"^guanlan_rules_rejected_total (\S+)$", text, flags=re.M)
    return {**dict(re.findall(r'(\w+)="(.*?)"', info)), "refused": refused}


async def in_force(worker: Worker, version: str) -> None:
    """Wait until a release is in force."""
    await until(lambda: released(worker)["version"] == version, 30)


def field_of(records: list[Sent], pack: str, wide: Wide) -> tuple[object, object]:
    """What is open of a pack's rules once these filings were judged."""
    return judged(program_of(wide, pack), wide, records)


def test_published_rules_are_in_force_within_seconds_and_tell_only_what_changes(field: Field) -> None:
    """Filings become alerts; other levels change them, with no restart; bad releases change nothing at all."""
    wide, records = load(institutions=8, filings=160)
    old = program_of(wide, OLD)
    field.prepare(wide.institutions)
    desk = Desk(field, wide)
    first, rest = records[:120], records[120:]
    options: dict[str, object] = {"clock": "data", "catalogue": [str(desk.catalogue)]}

    async def crowd(state: str) -> None:
        await until(lambda: state in [t.state for t in told(field) if t.rule == "field.crowd"], 30)

    async def first_release(worker: Worker) -> None:
        before = {t.id for t in told(field)}
        asked = await desk.publish(NEW, *TWO, "--max-changes", "1")
        assert (asked.exit_code, "nothing was published" in asked.output) == (1, True)
        done = await desk.publish(NEW, *TWO, "--yes")
        assert done.exit_code == 0, done.output
        await in_force(worker, "1")
        await until(lambda: believed(field) == field_of(first, NEW, wide), 30)
        await crowd("resolved")
        after = [t for t in told(field) if t.id not in before]
        assert {(t.cause, t.pack_version) for t in after} == {("rule-changed", "2")}
        shown = dict(re.findall(r"^  (field\.\w+): (.*)$", done.output, flags=re.M))
        counts = Counter(t.rule for t in after if t.alert_id)
        assert {rule: sum(map(int, re.findall(r"\d+", text))) for rule, text in shown.items()} == counts

    async def bad_releases(worker: Worker) -> None:
        before = Counter(t.id for t in told(field))
        bad = b"{", msgspec.json.encode(raw(NEW, "nonsense > 1"))
        field.send([Sent("raw", value) for value in bad], "rules")
        await until(lambda: released(worker)["refused"] == "2.0", 30)
        await in_force(worker, "1")
        assert Counter(t.id for t in told(field)) == before

    async def run() -> None:
        async with field.worker(old, **options) as worker:
            field.send(first)
            await until(lambda: field.state(old, wide.institutions) == direct(old, wide.institutions, first).active)
            await crowd("firing")
            await in_force(worker, "0")
            assert believed(field) == field_of(first, OLD, wide)
            await first_release(worker)
            await bad_releases(worker)
            field.send(rest)
            await until(lambda: believed(field) == field_of(records, NEW, wide), 30)
            gone = await desk.publish(WITHOUT_BOTH, *TWO, "--yes")
            assert "1 deleted (field.both)" in gone.output
            await until(lambda: believed(field) == field_of(records, WITHOUT_BOTH, wide), 30)
        assert max(Counter(t.id for t in told(field)).values()) == 1

    asyncio.run(run())
    assert "field.both" in {t.rule for t in told(field) if t.cause == "rule-changed"}


def test_a_release_that_can_t_be_told_is_taken_anew_by_the_next_worker(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines are others already when sending fails: the worker ends and saves nothing, so nothing is lost."""
    wide, records = load(institutions=8, filings=120)
    old = program_of(wide, OLD)
    field.prepare(wide.institutions)
    desk = Desk(field, wide)
    options: dict[str, object] = {"clock": "data", "catalogue": [str(desk.catalogue)]}
    send = Outbox.send

    async def fails(outbox: Outbox, posts: Sequence[Post]) -> None:
        if any(b"rule-changed" in (post.value or b"") for post in posts):
            raise RuntimeError("a bug in sending")
        await send(outbox, posts)

    async def run() -> None:
        settings = field.settings(**options)
        with claim_folder(settings.data_dir, settings.instance) as folder, monkeypatch.context() as patched:
            patched.setattr(Outbox, "send", fails)
            worker = Worker(settings, old, await asyncio.to_thread(find_place, settings), folder)
            running = asyncio.create_task(worker.run(asyncio.Event()))
            await until(lambda: worker.watch.partitions is not None or running.done())
            field.send(records)
            await until(lambda: believed(field) == field_of(records, OLD, wide), 30)
            published = await desk.publish(NEW, *TWO, "--yes")
            assert published.exit_code == 0, published.output
            assert await asyncio.wait_for(running, 60) == 1
        assert {t.cause for t in told(field)}.isdisjoint({"rule-changed"})
        async with field.worker(old, **options):
            await until(lambda: believed(field) == field_of(records, NEW, wide), 60)

    asyncio.run(run())


def test_what_must_not_be_in_force_is_not_published(field: Field) -> None:
    """An author who approves, a pack that does not compile, one whose tests fail, and nobody to ask."""
    wide, _ = load(institutions=2, filings=2)
    field.prepare(wide.institutions)
    desk = Desk(field, wide)
    same = asyncio.run(desk.publish(NEW, "--author", "Wang Wei", "--approver", "wang  wei"))
    assert "must be two people" in str(same.exception)
    broken = asyncio.run(desk.publish(NEW.replace("x0003 > 1.03", "y0003 > 1.03"), *TWO, "--yes"))
    assert (broken.exit_code, bool(re.search(r"field\.yaml:\d+:\d+", broken.output))) == (1, True)
    unknown = asyncio.run(desk.publish(NEW, *TWO))
    assert (unknown.exit_code, "no worker of group" in unknown.output) == (1, True)
    tests = field.folder / "field.test.yaml"
    tests.write_text(FAILING, encoding="utf-8")
    failing = asyncio.run(desk.publish(NEW, *TWO, "--yes"))
    assert (failing.exit_code, "FAILED" in failing.output) == (1, True)
    assert field.read("rules") == []


def raw(pack: str, condition: str) -> dict[str, object]:
    """A release as somebody would write it who does not use the command: its pack does not compile."""
    from streams.releases import Text, hash_of

    packs = (Text("field.yaml", pack.replace("x0003 > 1.03", condition)),)
    people = {"author": "A", "approver": "B", "published_at": "2026-01-01T00:00:00Z"}
    return {"version": 9, "hash": hash_of(packs), **people, "packs": packs}


def test_a_worker_without_packs_runs_what_is_published(field: Field) -> None:
    """A worker that starts comes up with the newest release that compiles, and needs no pack of its own."""
    wide, _ = load(institutions=2, filings=2)
    field.prepare(wide.institutions)
    desk = Desk(field, wide)
    result = asyncio.run(desk.publish(OLD, *TWO, "--yes"))
    assert "no worker of group" in result.output
    assert result.exit_code == 0
    field.send([Sent("raw", b"{")], "rules")
    worker = field.start_worker(wide, pack="", until="watching partitions")
    (address,) = re.findall(r"http://\S+/metrics", worker.log.read_text(encoding="utf-8"))
    assert 'guanlan_rules_release_info{hash="' in httpx.get(address).text
    assert 'version="1"} 1.0' in httpx.get(address).text
    listed = desk("releases").output
    assert [line.split()[0] for line in listed.splitlines()] == ["release", "1"]
    assert desk("releases", "--fetch", "1", "--out", str(field.folder / "back")).exit_code == 0
    assert Path(field.folder / "back" / "field.yaml").read_text(encoding="utf-8") == OLD
