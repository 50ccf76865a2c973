"""Plays the demo from the first curtain to the last: history, live days, and whether every story was found."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from guanlan.demo.feed import Feeder
from guanlan.demo.gauge import Gauge
from guanlan.demo.screen import View, frame
from guanlan.demo.stage import PACKS, Stage
from guanlan.demo.watch import Watcher
from guanlan.synthetic import Sector
from guanlan.synthetic.timeline import to_date

FRAME_SECONDS = 0.5
CATCH_UP_SECONDS = 120.0
SETTLE_SECONDS = 60.0
QUIET_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose. pace: live business days a second. seconds: play all live days in so long."""

    headless: bool = False
    pace: float = 1.0
    seconds: float | None = None
    institutions: int = 200
    seed: int = 7
    bootstrap: str | None = None
    language: str = "en"


class Play:
    """One run of the demo; `run` returns the exit code."""

    def __init__(self, options: Options, console: Console) -> None:
        self.options = options
        self.console = console
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        self.sector = Sector(options.seed, options.institutions, end=yesterday)
        self.stage = Stage(options.bootstrap, PACKS, options.language)
        self.phase = "history"

    def run(self) -> int:
        """Play; return 0 when every story was found or a person ended it, 1 when one was missed."""
        with ExitStack() as stack, _terminated_like_interrupted():
            stack.enter_context(self.stage)
            try:
                self._raise_curtain(stack)
                self._show()
            except KeyboardInterrupt:
                self._say("ending")
                if self.phase == "history":
                    return 0
            return self._summary()

    def _raise_curtain(self, stack: ExitStack) -> None:
        """Start everything, and have the history on its way before the worker looks."""
        self._say("starting the broker" if self.stage.broker == "embedded" else "using your broker")
        self.stage.open(self.sector.institutions)
        self.feeder = Feeder(self.sector, self.stage)
        stack.callback(self.feeder.stop)
        count = self.feeder.send_history()
        self._say(f"{count:,} filings of history sent; starting the worker")
        self.stage.start_worker()
        self.watcher = Watcher(self.stage)
        stack.callback(self.watcher.stop)
        self.gauge = Gauge(self.stage.metrics_url)
        stack.callback(self.gauge.close)
        self.watcher.start()

    def _show(self) -> None:
        if self.options.headless or not self.console.is_terminal:
            self._perform(lambda: None)
            return
        with Live(console=self.console, screen=True, auto_refresh=False, transient=True) as live:

            def draw() -> None:
                live.update(self._frame(), refresh=True)

            self._perform(draw)
            while True:
                self._wait(draw)

    def _perform(self, draw: Callable[[], None]) -> None:
        """History, live days, and the time the worker needs to say its last words."""
        self._until(self._caught_up, CATCH_UP_SECONDS, draw)
        self.gauge.begin()
        self.phase = "live"
        seconds = self.options.seconds
        pace = self.feeder.days / seconds if seconds else self.options.pace
        if self.options.headless:
            self._say(f"history read; playing {self.feeder.days} days, {pace:g} a second")
        self.feeder.start(pace)
        self._until(self.feeder.finished.is_set, float("inf"), draw)
        self._until(self._settled(), SETTLE_SECONDS, draw)
        self.gauge.read()
        self.phase = "done"

    def _say(self, text: str) -> None:
        self.console.print(text, style="dim", soft_wrap=True)

    def _until(self, done: Callable[[], bool], within: float, draw: Callable[[], None]) -> None:
        deadline = time.monotonic() + within
        while not done() and time.monotonic() < deadline:
            self._wait(draw)

    def _wait(self, draw: Callable[[], None]) -> None:
        self.stage.check()
        for part in (self.feeder, self.watcher):
            if part.error is not None:
                raise part.error
        self.gauge.read()
        draw()
        time.sleep(FRAME_SECONDS)

    def _caught_up(self) -> bool:
        totals = self.gauge.readings.totals
        return totals["applied"] + totals["rejected"] >= self.feeder.sent

    def _settled(self) -> Callable[[], bool]:
        """All filings are applied and nothing new has come out for a while."""
        last, since = -1, time.monotonic()

        def settled() -> bool:
            nonlocal last, since
            with self.watcher.lock:
                now = self.watcher.seen.transitions + self.watcher.seen.refused.total()
            if now != last or not self._caught_up():
                last, since = now, time.monotonic()
            return time.monotonic() - since > QUIET_SECONDS

        return settled

    def _frame(self) -> RenderableType:
        timeline = self.sector.timeline
        today = to_date(self.feeder.now // 86_400)
        position = int((timeline.live <= self.feeder.now // 86_400).sum()) if self.phase != "history" else 0
        view = View(
            language=self.options.language,
            institutions=len(self.sector.institutions),
            today=today.isoformat(),
            position=position,
            days=self.feeder.days,
            phase=self.phase,
            sent=self.feeder.sent,
            readings=self.gauge.readings,
            before=self.gauge.at_start,
            stories=self.sector.stories,
            broker=self.stage.broker,
            bootstrap=self.stage.bootstrap,
            metrics_url=self.stage.metrics_url,
        )
        with self.watcher.lock:
            return frame(view, self.watcher.seen, self.console.height)

    def _summary(self) -> int:
        language = self.options.language
        with self.watcher.lock:
            seen = self.watcher.seen
            lacking = {story.id: seen.lacking(story) for story in self.sector.stories}
            others = seen.others(self.sector.stories)
            transitions, refused = seen.transitions, seen.refused.total()
        complete = self.phase == "done"
        table = Table(box=None, padding=(0, 2), show_header=False)
        for story in self.sector.stories:
            missing = lacking[story.id]
            mark = Text("found", "green") if not missing else Text("missed" if complete else "not yet", "bold red")
            note = "" if not missing else "; ".join(missing[:3])
            table.add_row(mark, story.title.get(language) or story.title["en"], Text(note, "red"))
        self.console.print(table)
        totals = self.gauge.readings.totals
        self.console.print(
            f"{totals['applied']:,.0f} filings applied, {refused:,} refused, {totals['judged']:,.0f} rules judged, "
            f"{transitions:,} transitions; {len(others)} alerts on institutions to which nothing was planted",
            soft_wrap=True,
        )
        for transition in others[:5]:
            self.console.print(f"  {transition.as_of} {transition.rule} {transition.subject}", style="dim")
        found = sum(not missing for missing in lacking.values())
        self.console.print(f"{found} of {len(lacking)} stories found" + ("" if complete else " so far"))
        return 0 if found == len(lacking) or not complete else 1


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """While inside, SIGTERM ends the demo as Ctrl-C does, so that nothing is left running."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def play(options: Options, console: Console | None = None) -> int:
    """Play the demo and return the exit code."""
    return Play(options, console or Console(highlight=False)).run()
