"""The demo's screen: what the pipeline does, what was planted and found, and the latest alerts in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from guanlan.demo.gauge import Readings
from guanlan.demo.watch import Seen
from guanlan.synthetic import Story
from rules.sentences import sentence
from rules.transitions import Transition

STYLES = {"critical": "bold white on red", "warning": "bold yellow", "watch": "cyan", "none": "green"}
BARS = " ▁▂▃▄▅▆▇█"
SIGNS = {
    "firing": "!",
    "escalated": "↑",
    "eased": "↓",
    "resolved": "✓",
    "suppressed": "·",
    "released": "!",
    "stale": "?",
    "worsened": "↑",
}
PIPELINE_ROWS = 9
WORDS = {
    "en": {
        "title": "a made-up sector of {n} banks and insurers",
        "pipeline": "Pipeline",
        "rate": "filings a second",
        "applied": "filings applied",
        "values": "values",
        "judged": "rules judged",
        "rejected": "refused",
        "waiting": "waiting",
        "latency": "filing to verdict",
        "series": "series exported",
        "open": "alerts open",
        "debtrank": "largest DebtRank",
        "debtrank_means": "of equity, if one fails",
        "stories": "Planted stories",
        "alerts": "Alerts",
        "as_of": "as of",
        "ends": "Ctrl-C ends",
        "metrics": "metrics",
        "broker": "broker",
        "found": "found",
        "ahead": "ahead",
        "looking": "looking",
        "day": "day {at} of {all}",
        "history": "reading the history",
        "done": "all live days played",
        "refused": "{n} records refused",
        "nothing": "none yet",
        "watch": "watch",
        "warning": "warning",
        "critical": "critical",
        "none": "none",
        "embedded": "embedded (Tansu, in memory)",
        "given": "yours",
    },
    "zh": {
        "title": "虚构行业：{n}家银行与保险机构",
        "pipeline": "数据流",
        "rate": "每秒报送",
        "applied": "已处理报送",
        "values": "指标值",
        "judged": "规则判断",
        "rejected": "退回",
        "waiting": "待处理",
        "latency": "报送至判定",
        "series": "输出序列",
        "open": "未关闭预警",
        "debtrank": "最大DebtRank",
        "debtrank_means": "单家倒闭致权益损失",
        "stories": "预设情景",
        "alerts": "预警",
        "as_of": "数据日期",
        "ends": "Ctrl-C 结束",
        "metrics": "指标",
        "broker": "消息服务",
        "found": "已发现",
        "ahead": "未开始",
        "looking": "监测中",
        "day": "第{at}天，共{all}天",
        "history": "正在读取历史",
        "done": "演示日期已播完",
        "refused": "退回{n}条记录",
        "nothing": "暂无",
        "watch": "关注",
        "warning": "预警",
        "critical": "严重",
        "none": "正常",
        "embedded": "内置（Tansu，内存）",
        "given": "外部",
    },
}


@dataclass(frozen=True, slots=True)
class View:
    """Everything a frame shows. `today` is the day played (ISO), `position` of `days` live days.

    broker: "embedded" or "given". before: latency counts when the live days began.
    """

    language: str
    institutions: int
    today: str
    position: int
    days: int
    phase: str
    sent: int
    readings: Readings
    before: dict[float, float]
    stories: Sequence[Story]
    broker: str
    bootstrap: str
    metrics_url: str


def frame(view: View, seen: Seen, height: int) -> RenderableType:
    """Return one frame of `height` lines."""
    words = WORDS.get(view.language, WORDS["en"])
    middle = max(len(view.stories), PIPELINE_ROWS) + 2
    layout, top = Layout(), Layout(size=middle)
    top.split_row(Layout(_pipeline(view, seen, words), ratio=1), Layout(_stories(view, seen, words), ratio=1))
    layout.split_column(
        Layout(_header(view, words), size=2),
        top,
        Layout(_alerts(view, seen, words, max(1, height - middle - 6))),
        Layout(_footer(view, words), size=1),
    )
    return layout


def _header(view: View, words: dict[str, str]) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    name = Text.assemble(("观澜 Guanlan", "bold"), "  ", (words["title"].format(n=view.institutions), "dim"))
    where = words["day"].format(at=view.position, all=view.days) if view.phase == "live" else words[view.phase]
    line.add_row(name, Text.assemble((view.today, "bold"), "  ", (where, "dim")))
    bar = ProgressBar(total=view.days, completed=view.position, complete_style="blue", finished_style="blue")
    return Group(line, bar)


def _pipeline(view: View, seen: Seen, words: dict[str, str]) -> RenderableType:
    totals = view.readings.totals
    waiting = max(0, view.sent - int(totals["applied"] + totals["rejected"]))
    low, high = (view.readings.latency(share, view.before) for share in (0.5, 0.99))
    severities: Counter[str] = Counter(t.severity for t in seen.open.values())
    labels = (
        words[key]
        for key in ("rate", "applied", "waiting", "rejected", "latency", "judged", "series", "debtrank", "open")
    )
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="dim", min_width=max(map(cell_len, labels)))
    table.add_column(justify="right", min_width=8)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_row(words["rate"], f"{view.readings.rate:,.0f}", Text(_bars(view.readings.rates), style="blue"))
    table.add_row(words["applied"], f"{totals['applied']:,.0f}", f"{totals['values']:,.0f} {words['values']}")
    table.add_row(words["waiting"], f"{waiting:,}", "")
    table.add_row(words["rejected"], f"{totals['rejected']:,.0f}", "")
    table.add_row(words["latency"], _seconds(low), f"p99 {_seconds(high)}")
    table.add_row(words["judged"], f"{totals['judged']:,.0f}", "")
    table.add_row(words["series"], f"{view.readings.series:,}", "")
    debtrank = "–" if view.readings.debtrank is None else f"{view.readings.debtrank:.2%}"
    table.add_row(words["debtrank"], debtrank, Text(words["debtrank_means"], style="dim"))
    standing = [s for s in ("critical", "warning", "watch") if severities[s]]
    counts = Text(" ").join(Text(f"{severities[s]} {words[s]}", style=STYLES[s]) for s in standing)
    table.add_row(words["open"], str(len(seen.open)), counts)
    return Panel(table, title=words["pipeline"], title_align="left", border_style="dim")


def _stories(view: View, seen: Seen, words: dict[str, str]) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=5)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=4)
    for story in view.stories:
        lacking = seen.lacking(story)
        title = story.title.get(view.language) or story.title["en"]
        if not lacking:
            mark, style, note = "✓", "green", _found(story, seen, words)
        elif view.today < story.begins.isoformat() or view.phase == "history":
            mark, style, note = "·", "dim", words["ahead"]
        else:
            mark, style, note = "◌", "yellow", words["looking"]
        table.add_row(Text(mark, style=style), Text(title, style="" if style == "green" else style), Text(note, "dim"))
    return Panel(table, title=words["stories"], title_align="left", border_style="dim")


def _found(story: Story, seen: Seen, words: dict[str, str]) -> str:
    if story.rejected:
        codes = set(story.institutions)
        return words["refused"].format(n=sum(n for (code, _), n in seen.refused.items() if code in codes))
    firsts = [t for (rule, code), t in seen.fired.items() if rule in story.rules and code in story.institutions]
    first = min(firsts, key=lambda t: t.seen_at)
    return f"{first.seen_at[2:10]}  {first.rule.partition('.')[2]}"


def _alerts(view: View, seen: Seen, words: dict[str, str], rows: int) -> RenderableType:
    table = Table(expand=True, box=None, padding=(0, 1), header_style="dim", show_edge=False)
    table.add_column(words["as_of"], no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for transition in list(seen.latest)[:rows]:
        table.add_row(transition.as_of[:10], _badge(transition, words), _message(transition, view.language))
    if not seen.latest:
        table.add_row("", "", Text(words["nothing"], "dim"))
    return Panel(table, title=words["alerts"], title_align="left", border_style="dim")


def _badge(transition: Transition, words: dict[str, str]) -> Text:
    sign = SIGNS.get(transition.state, "")
    shown = transition.previous if transition.state == "resolved" else transition.severity
    style = "green" if transition.state == "resolved" else STYLES[transition.severity]
    return Text(f" {sign} {words[shown]} ", style=style)


def _message(transition: Transition, language: str) -> Text:
    text = sentence(transition, language) or transition.rule
    if not transition.message:
        title = transition.title.get(language) or transition.title.get("en") or transition.rule
        text = f"{transition.subject} {title}{'：' if language == 'zh' else ': '}{text}"
    return Text(text, style="dim" if transition.state == "resolved" else "")


def _footer(view: View, words: dict[str, str]) -> RenderableType:
    broker = f"{words['broker']} {view.bootstrap} {words[view.broker]}"
    parts = (words["ends"], f"{words['metrics']} {view.metrics_url}", broker)
    return Text("  ·  ".join(parts), style="dim", no_wrap=True, overflow="ellipsis")


def _bars(rates: Sequence[float], width: int = 20) -> str:
    shown = list(rates)[-width:]
    top = max(shown, default=0.0) or 1.0
    return "".join(BARS[min(8, round(8 * max(0.0, r) / top))] for r in shown)


def _seconds(bound: float | None) -> str:
    if bound is None:
        return "–"
    if bound == float("inf"):
        return "> 1 h"
    return f"< {bound * 1000:.0f} ms" if bound < 1 else f"< {bound:g} s"
