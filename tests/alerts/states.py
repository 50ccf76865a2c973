"""Every state and cause of an alert, as the engine tells it and the desk folds it: shipped rules, written filings.

`python -m tests.alerts.states` writes the golden files anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from alerts.desk import Desk, Notice
from alerts.wording import digest, group_message, headline, message
from rules.calendar import parse_instant
from rules.catalogue import load_catalogue
from rules.engine import Engine, FormBatch
from rules.pack import PackText, Program, compile_packs, load_packs
from rules.registry import Institution
from rules.succession import hand_over, successor
from rules.transitions import Transition

GOLDEN = Path(__file__).parent / "golden"
DESK_URL = "https://desk.example.org"
PACKS = ("bank-prudential", "bank-liquidity", "reporting", "systemic-risk")
JIANGNAN = Institution(
    "CN001", {"en": "Bank of Jiangnan", "zh": "江南银行"}, type="city_bank", region="Jiangsu", peer_group="city-large"
)
PEERS = [Institution(f"CN{n:03}", {"en": f"Peer {n}"}, type="city_bank", peer_group="city-large") for n in range(2, 14)]
EXEMPT = """
pack: exempt
catalogue: [cn]
rules:
  - {id: exempt.nothing, title: {en: Nothing}, where: type == 'none', levels: {watch: npl_ratio > 90%}}
waivers:
  - {rule: bank.credit.classification, institution: CN001, reason: merger, document: 决定2026年第7号, approver: B,
     from: 2026-06-01, to: 2026-08-31}
"""
Edit = Callable[[str], str]


def names(subject: str) -> dict[str, str]:
    """Return the names of these scenes' institutions."""
    return {one.code: one.name for one in (JIANGNAN, *PEERS)}.get(subject, {})


CATALOGUE = load_catalogue(["cn"])


@cache
def _loaded(packs: tuple[str, ...]) -> tuple[PackText, ...]:
    return tuple(load_packs(packs))


@cache
def _compiled(*packs: PackText) -> Program:
    return compile_packs(packs, CATALOGUE)


class Scene:
    """One engine of shipped rules, and a desk that hears what it tells of one rule."""

    def __init__(self, rule: str, packs: tuple[str, ...] = PACKS, more: str = "", *, everybody: bool = False) -> None:
        self.rule = rule
        self._packs = [*_loaded(packs), *([PackText(more, "more.yaml")] if more else [])]
        self._catalogue = CATALOGUE
        people = [JIANGNAN, *(PEERS if everybody else [])]
        self.engine = Engine(_compiled(*self._packs), people)
        self._desk = Desk()
        self._offset = 0

    def file(
        self, form: str, as_of: str, submitted: str = "", revision: int = 0, code: str = "CN001", **values: float
    ) -> list[Notice]:
        """File one form; return what the desk has to tell of the rule."""
        order = self._catalogue.forms[form].indicators
        self._offset += 1
        one = FormBatch(
            form=form,
            rows=self.engine.rows([code]),
            as_of=np.array([parse_instant(as_of)], np.int64),
            submitted_at=np.array([parse_instant(submitted or f"{as_of}T09:30:00Z")], np.int64),
            revision=np.array([revision], np.int32),
            offset=np.array([self._offset], np.int64),
            sequence=np.array([self._offset], np.int64),
            values=np.array([[values.get(name, math.nan)] for name in order], np.float64),
        )
        return self._told(self.engine.apply([one]).transitions)

    def tick(self, moment: str) -> list[Notice]:
        """Let the clock pass."""
        return self._told(self.engine.tick(parse_instant(moment)).transitions)

    def leave(self, moment: str) -> list[Notice]:
        """Take the bank out of the registry."""
        return self._told(self.engine.retire("CN001", parse_instant(moment)).transitions)

    def edit(self, change: Edit, moment: str) -> list[Notice]:
        """Go on with packs whose texts are edited."""
        self._packs = [replace(pack, text=change(pack.text)) for pack in self._packs]
        new = successor(self.engine, _compiled(*self._packs))
        hand_over(self.engine, new, [self.engine.row("CN001")])
        self.engine = new
        return self._told(new.rejudge(parse_instant(moment)).transitions)

    def _told(self, said: list[Transition]) -> list[Notice]:
        notices = [self._desk.fold(one) for one in said if one.rule == self.rule and one.subject == "CN001"]
        return [
            replace(notice, kind="released") if notice.alert.last.state == "released" else notice  # type: ignore[arg-type]
            for notice in notices
            if notice is not None
        ]


CLASSES = "bank.credit.classification"
BALANCE = {"total_assets": 300e9}


def overdue_loans(scene: Scene, as_of: str, share: float, submitted: str = "", revision: int = 0) -> list[Notice]:
    """File the quarter's return with this share of overdue loans to bad loans."""
    return scene.file("cn.prudential.q", as_of, submitted, revision, overdue90_to_npl=share, total_loans=44e10)


def liquidity(scene: Scene, *days: tuple[str, float]) -> list[Notice]:
    """File daily coverage ratios."""
    found: list[Notice] = []
    for day, lcr in days:
        found += scene.file("cn.liquidity.d", day, lcr=lcr, total_deposits=2e11)
    return found


def by_filings() -> Iterator[Notice]:
    """An episode of the liquidity coverage ratio, brought by filings in time."""
    scene = Scene("bank.liquidity.lcr")
    scene.file("cn.balance.q", "2025-12-31", **BALANCE)
    yield from liquidity(
        scene,
        ("2026-03-02", 1.16), ("2026-03-03", 1.15), ("2026-03-04", 1.03), ("2026-03-05", 1.02),
        ("2026-03-06", 0.97), ("2026-03-09", 0.965), ("2026-03-10", 1.30), ("2026-03-11", 1.31), ("2026-03-12", 1.32),
    )  # fmt: skip
    scene = Scene(CLASSES)
    overdue_loans(scene, "2026-03-31", 1.05)
    yield from overdue_loans(scene, "2026-06-30", 0.9)


def by_revisions() -> Iterator[Notice]:
    """A revision that makes it worse, one that makes it better, and one after which nothing was ever wrong."""
    scene = Scene(CLASSES)
    overdue_loans(scene, "2026-03-31", 0.9, "2026-04-10T02:00:00Z")
    for revision, share in ((1, 1.05), (2, 0.96), (3, 0.5)):
        yield from overdue_loans(scene, "2026-03-31", share, f"2026-04-{15 + revision}T02:00:00Z", revision)
    scene = Scene(CLASSES)
    overdue_loans(scene, "2026-03-31", 0.5, "2026-04-10T02:00:00Z")
    yield from overdue_loans(scene, "2026-03-31", 0.9, "2026-04-15T02:00:00Z", 1)


def by_late_filings() -> Iterator[Notice]:
    """Returns of a past quarter that come after the next one."""
    scene = Scene("bank.credit.npl")
    scene.file("cn.prudential.q", "2025-12-31", npl_ratio=0.013)
    yield from scene.file("cn.prudential.q", "2026-06-30", "2026-07-10T02:00:00Z", npl_ratio=0.024)
    yield from scene.file("cn.prudential.q", "2026-03-31", "2026-07-20T02:00:00Z", npl_ratio=0.022)
    scene = Scene(CLASSES)
    overdue_loans(scene, "2026-06-30", 0.5, "2026-07-10T02:00:00Z")
    yield from overdue_loans(scene, "2026-03-31", 1.05, "2026-07-20T02:00:00Z")


def by_the_clock() -> Iterator[Notice]:
    """A deadline that passes, and is met late; and data that run out under an open alert, and come back."""
    scene = Scene("reporting.late.prudential")
    scene.file("cn.balance.q", "2025-12-31", **BALANCE)
    overdue_loans(scene, "2025-12-31", 0.5)
    yield from scene.tick("2026-04-25T00:00:00Z")
    yield from scene.file("cn.balance.q", "2026-03-31", "2026-04-27T02:00:00Z", **BALANCE)
    yield from overdue_loans(scene, "2026-03-31", 0.5, "2026-04-28T02:00:00Z")
    scene = Scene(CLASSES)
    overdue_loans(scene, "2026-03-31", 1.05, "2026-04-10T02:00:00Z")
    yield from scene.tick("2026-07-25T00:00:00Z")
    yield from overdue_loans(scene, "2026-06-30", 1.04, "2026-07-27T02:00:00Z")


def by_edits() -> Iterator[Notice]:
    """Rules that change, or are retired, under an open alert; and a bank that leaves."""
    for old, new in (
        ("critical: overdue90_to_npl > 100%", "critical: overdue90_to_npl > 85%"),
        ("watch: overdue90_to_npl > 80%", "watch: overdue90_to_npl > 92%"),
    ):
        scene = Scene(CLASSES)
        overdue_loans(scene, "2026-03-31", 0.9, "2026-04-10T02:00:00Z")
        yield from scene.edit(lambda text, old=old, new=new: text.replace(old, new), "2026-05-06T02:00:00Z")
    scene = Scene(CLASSES)
    overdue_loans(scene, "2026-03-31", 1.05, "2026-04-10T02:00:00Z")
    yield from scene.edit(
        lambda text: (
            text.replace("warning: overdue90_to_npl > 95%", "warning: overdue90_to_npl > 80%")
            .replace("critical: overdue90_to_npl > 100%", "critical: overdue90_to_npl > 110%")
            .replace("watch: overdue90_to_npl > 80%", "watch: overdue90_to_npl > 70%")
        ),
        "2026-05-06T02:00:00Z",
    )
    for gone in ("rule", "deleted", "institution"):
        scene = Scene(CLASSES)
        overdue_loans(scene, "2026-03-31", 1.05, "2026-04-10T02:00:00Z")
        if gone == "institution":
            yield from scene.leave("2026-05-06T02:00:00Z")
        elif gone == "rule":
            yield from scene.edit(_retired, "2026-05-06T02:00:00Z")
        else:
            yield from scene.edit(lambda text: text.replace(CLASSES, "bank.credit.other"), "2026-05-06T02:00:00Z")


def _retired(text: str) -> str:
    head = f"  - id: {CLASSES}\n"
    return text.replace(head, f"{head}    status: retired\n    retired: {{on: 2026-05-01, reason: replaced}}\n")


def by_waiver() -> Iterator[Notice]:
    """A waiver that silences an open alert for a time."""
    scene = Scene(CLASSES, more=EXEMPT)
    overdue_loans(scene, "2026-03-31", 1.05, "2026-04-10T02:00:00Z")
    yield from overdue_loans(scene, "2026-06-30", 1.06, "2026-07-10T02:00:00Z")
    yield from overdue_loans(scene, "2026-09-30", 1.07, "2026-10-12T02:00:00Z")


def among_peers() -> Iterator[Notice]:
    """A rule that runs where the peers are known."""
    scene = Scene("systemic.peers.npl", everybody=True)
    for number, peer in enumerate(PEERS):
        scene.file("cn.balance.q", "2026-03-31", code=peer.code, **BALANCE)
        scene.file("cn.prudential.q", "2026-03-31", code=peer.code, npl_ratio=0.012 + number / 2000)
    scene.file("cn.balance.q", "2026-03-31", **BALANCE)
    yield from scene.file("cn.prudential.q", "2026-03-31", "2026-04-12T02:00:00Z", npl_ratio=0.061)


def by_delivery() -> Iterator[Notice]:
    """What delivery tells beyond transitions."""
    scene = Scene(CLASSES)
    (first,) = overdue_loans(scene, "2026-03-31", 1.05, "2026-04-10T02:00:00Z")
    last = first.alert.last
    assert last.measured is not None
    worse = msgspec.structs.replace(
        last, as_of="2026-06-30", measured=msgspec.structs.replace(last.measured, value=1.8, before=1.05)
    )
    yield Notice("worsened", replace(first.alert, last=worse), first.alert)  # type: ignore[arg-type]
    for kind in ("past_due", "unanswered", "flapping"):
        yield Notice(kind, first.alert, first.alert)  # type: ignore[arg-type]
    yield Notice("moved", first.alert, first.alert)
    yield Notice("repeated", first.alert, first.alert)


SCENES: dict[str, Callable[[], Iterator[Notice]]] = {
    "filed": by_filings,
    "revised": by_revisions,
    "late": by_late_filings,
    "clock": by_the_clock,
    "rule-changed-and-retired": by_edits,
    "suppressed-and-released": by_waiver,
    "peers": among_peers,
    "delivery": by_delivery,
}


def text_of(scene: str) -> str:
    """Return a golden file: the notices of a scene from top to bottom, as people get them."""
    parts = []
    for notice in SCENES[scene]():
        event = notice.alert.last
        mark = f"##### {notice.kind} · {event.state} · {event.cause} #####"
        parts.append("\n".join([mark, headline(notice, names, "en"), "", message(notice, names, "en", DESK_URL)]))
    return "\n\n\n".join(parts) + "\n"


def together() -> str:
    """Return the golden file of what is said of several notices at once, in either language first."""
    notices = [next(by_revisions()), next(among_peers()), next(by_the_clock())]
    parts = []
    for first in ("en", "zh"):
        for title, body in (
            group_message(notices, names, first, DESK_URL),
            digest([notices[:2], notices[2:]], names, first, "credit", DESK_URL),
        ):
            parts.append(f"##### {first} #####\n{title}\n\n{body}")
    return "\n\n\n".join(parts) + "\n"


def golden() -> dict[str, str]:
    """Return all golden files by name."""
    return {**{scene: text_of(scene) for scene in SCENES}, "together": together()}


if __name__ == "__main__":
    for name, text in golden().items():
        (GOLDEN / f"{name}.txt").write_text(text, encoding="utf-8")
