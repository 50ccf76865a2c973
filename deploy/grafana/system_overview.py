"""The dashboard *System overview*: the sector, its alerts, contagion, digital transformation, and the pipeline."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableRefresh, VariableSort

from deploy.grafana.panels import DATASOURCE, GREEN, ORANGE, RED, YELLOW, Panels, Query, bars, both, lines, number
from deploy.grafana.queries import NAMED, Queries, latency, per_second, stage
from deploy.grafana.systemic_panels import cascades, common, contagion, doubt, importance, market, stress
from rules.catalogue import load_catalogue

UID = "guanlan-system-overview"
CATALOGUES = ("cn", "measures")

FIRING = 'guanlan_alerts{state=~"firing|stale"}'


def build() -> dashboard.Dashboard:
    """Return the dashboard's builder."""
    q = Queries(load_catalogue(CATALOGUES))
    board = (
        dashboard.Dashboard(both("System overview", "系统概览"))
        .uid(UID)
        .description("Guanlan: the supervised sector at a glance · 观澜：被监管行业一览")
        .tags(["guanlan"])
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(
            dashboard.DatasourceVariable("datasource").label(both("Data source", "数据源")).type("prometheus")
        )
        .with_variable(_choice("type", both("Type", "机构类型")))
        .with_variable(_choice("region", both("Region", "地区")))
    )
    for title, panels in (
        (both("Now", "当前"), now(q)),
        (both("Alerts", "预警"), alerts()),
        (both("Capital and solvency", "资本与偿付能力"), capital(q)),
        (both("Liquidity and deposits", "流动性与存款"), liquidity(q)),
        (both("Asset quality", "资产质量"), credit(q)),
        (both("Contagion and concentration", "传染与集中度"), contagion(q)),
        (both("Cascades and who causes them", "级联与归因"), cascades(q)),
        (both("Common exposures and third parties", "共同敞口与外部服务商"), common(q)),
        (both("Systemic importance and breadth", "系统重要性与不达标面"), importance(q)),
        (both("How sure the network measures are", "网络度量的不确定性"), doubt(q)),
        (both("Stress", "系统性压力"), stress(q)),
        (both("Market", "市场度量"), market(q)),
        (both("Digital transformation", "数字化转型"), digital(q)),
        (both("Pipeline", "数据管道"), pipeline()),
    ):
        board.with_row(dashboard.Row(title))
        for panel in panels:
            board.with_panel(panel)
    return board


def _choice(label: str, title: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(label)
        .label(title)
        .datasource(DATASOURCE)
        .query(f"label_values(guanlan_institution_info, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def now(q: Queries) -> Panels:
    """Who reports, what fires, and whether the pipeline keeps up."""
    dates = q.as_of("lcr")
    return [
        number(
            both("Institutions reporting", "已报送机构"),
            Query(f"count(count by (institution) ({q.of('total_assets')}))", both("reporting", "已报送")),
            Query("count(count by (institution) (guanlan_institution_info))", both("registered", "在册")),
            width=4,
        ),
        number(
            both("Alerts firing", "触发中的预警"),
            *(
                Query(f'sum(guanlan_alerts{{state=~"firing|stale", severity="{level}"}}) or vector(0)', both(level, zh))
                for level, zh in (("critical", "严重"), ("warning", "预警"), ("watch", "关注"))
            ),
            steps=((None, GREEN), (1, ORANGE)),
            width=5,
        ),
        number(
            both("Newest day of liquidity data", "最新流动性数据日期"),
            Query(f"max({dates}) * 1000"),
            unit="dateTimeAsIso",
        ),
        number(
            both("Banks behind that day", "数据滞后的银行"),
            Query(f"sum({dates} < bool scalar(max({dates})))"),
            steps=((None, GREEN), (1, YELLOW)),
        ),
        number(both("Filings a second", "每秒报送"), Query(per_second("guanlan_filings_accepted_total")), unit="reqps"),
        number(
            both("Records behind", "积压记录"),
            Query("sum(guanlan_lag_records)"),
            steps=((None, GREEN), (1_000, YELLOW), (100_000, RED)),
        ),
        number(
            both("Submission to alert, 99%", "报送到预警P99"),
            Query(latency(0.99)),
            unit="s",
            steps=((None, GREEN), (1, YELLOW), (10, RED)),
        ),
    ]


def alerts() -> Panels:
    """Alerts over time, the rules that fire most, and what could not be judged."""
    return [
        lines(
            both("Alerts firing by severity", "各级别触发中的预警"),
            Query(f"sum by (severity) ({FIRING})", "{{severity}}"),
            stacked=True,
        ),
        bars(
            both("Rules that fire most", "触发最多的规则"),
            Query(f"topk(10, sum by (rule, severity) ({FIRING}))", "{{rule}} {{severity}}"),
        ),
        bars(
            both("Judged unknown, by reason", "因数据缺失无法判断"),
            Query("topk(10, sum by (reason) (guanlan_rule_unknown))", "{{reason}}"),
            note="A rule that misses data neither fires nor clears. · 数据缺失时规则既不触发也不解除。",
        ),
    ]


def capital(q: Queries) -> Panels:
    """Capital adequacy of banks and solvency of insurers: the distribution, and who is lowest."""
    return [
        *_spread(q, "capital_ratio", "Capital adequacy ratio", "资本充足率", low=True),
        *_spread(q, "core_solvency_ratio", "Core solvency ratio", "核心偿付能力充足率", low=True, width=6),
    ]


def _spread(q: Queries, indicator: str, en: str, zh: str, low: bool, width: int = 6) -> Panels:
    """Quantiles by type over time, and the ten institutions at the bad end."""
    tail, extreme = (0.05, q.lowest) if low else (0.95, q.highest)
    end_en, end_zh = ("lowest", "最低") if low else ("highest", "最高")
    return [
        lines(
            both(f"{en}: median and {tail:.0%} quantile by type", f"{zh}：各类机构中位数与{tail:.0%}分位"),
            Query(q.quantile(0.5, indicator), "{{type}} 50%"),
            Query(q.quantile(tail, indicator), f"{{{{type}}}} {tail:.0%}"),
            unit="percentunit",
            width=width,
        ),
        bars(
            both(f"{en}: the ten {end_en}", f"{zh}：{end_zh}的十家"),
            Query(extreme(q.of(indicator)), NAMED),
            unit="percentunit",
            width=width,
        ),
    ]


def liquidity(q: Queries) -> Panels:
    """LCR as a distribution, deposits, and whose deposits fell most within the time shown."""
    bands = ((None, 1.0), (1.0, 1.2), (1.2, 1.5), (1.5, 2.0), (2.0, None))
    deposits = q.of("total_deposits")
    return [
        bars(
            both("LCR: number of banks by band", "流动性覆盖率分布（家数）"),
            *(Query(q.band("lcr", low, high), _band(low, high)) for low, high in bands),
        ),
        *_spread(q, "lcr", "LCR", "流动性覆盖率", low=True, width=8),
        lines(
            both("Deposits by type", "各类机构存款"),
            Query(q.total("total_deposits", "type"), "{{type}}"),
            unit="currency:CNY ",
            width=8,
            stacked=True,
        ),
        bars(
            both("Largest fall of deposits from their highest in the time shown", "所示时段内存款较峰值最大跌幅"),
            Query(q.highest(f"1 - {deposits} / max_over_time({deposits}[$__range])"), NAMED),
            unit="percentunit",
            steps=((None, GREEN), (0.05, YELLOW), (0.1, ORANGE), (0.2, RED)),
            width=8,
        ),
        bars(
            both("Share of the ten largest depositors: the ten highest", "最大十户存款比例：最高的十家"),
            Query(q.highest(q.of("top10_deposit_share")), NAMED),
            unit="percentunit",
            width=8,
        ),
    ]


def _band(low: float | None, high: float | None) -> str:
    if low is None:
        return f"< {high:.0%}"
    return f">= {low:.0%}" if high is None else f"{low:.0%} - {high:.0%}"


def credit(q: Queries) -> Panels:
    """Non-performing loans of the sector and of institutions, and what covers them."""
    return [
        lines(
            both("Non-performing loans of all loans", "全行业不良贷款率"),
            Query(f"{q.total('npl_balance')} / {q.total('total_loans')}", both("sector", "全行业")),
            Query(q.quantile(0.5, "npl_ratio"), "{{type}} 50%"),
            Query(q.quantile(0.95, "npl_ratio"), "{{type}} 95%"),
            unit="percentunit",
        ),
        bars(
            both("NPL ratio: the ten highest", "不良贷款率：最高的十家"),
            Query(q.highest(q.of("npl_ratio")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("Provision coverage: the ten lowest", "拨备覆盖率：最低的十家"),
            Query(q.lowest(q.of("provision_coverage")), NAMED),
            unit="percentunit",
        ),
    ]


def digital(q: Queries) -> Panels:
    """Online business, cloud concentration, data quality, models and the availability of systems."""
    return [
        lines(
            both("Business done online: median by type", "业务线上化率：各类机构中位数"),
            Query(q.quantile(0.5, "online_business_share"), "{{type}}"),
            unit="percentunit",
        ),
        bars(
            both("Largest cloud provider's share of important systems", "第一大云服务商承载占比"),
            Query(q.highest(q.of("cloud_top_provider_share")), NAMED),
            unit="percentunit",
        ),
        lines(
            both("Data quality score: median and 10% quantile by type", "数据质量综合分：各类机构中位数与10%分位"),
            Query(q.quantile(0.5, "data_quality_score"), "{{type}} 50%"),
            Query(q.quantile(0.1, "data_quality_score"), "{{type}} 10%"),
        ),
        bars(
            both("AI models without validation: the ten highest shares", "未经验证模型占比：最高的十家"),
            Query(q.highest(q.of("ai_unvalidated_share")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("Availability of important systems: the ten lowest", "重要信息系统可用率：最低的十家"),
            Query(q.lowest(q.of("important_systems_availability")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("Longest outage of the quarter: the ten longest", "当季最长中断时间：最长的十家"),
            Query(q.highest(q.of("longest_outage")), NAMED),
            unit="m",
        ),
    ]


def pipeline() -> Panels:
    """Throughput, latency, refusals, where the time goes, and the targets of notices."""
    return [
        lines(
            both("Filings a second by form", "各报表每秒报送"),
            Query(per_second("guanlan_filings_accepted_total", "form"), "{{form}}"),
            unit="reqps",
        ),
        lines(both("Values a second", "每秒指标值"), Query(per_second("guanlan_filing_values_total"))),
        lines(
            both("Submission to alert", "报送到预警"),
            Query(latency(0.5), "50%"),
            Query(latency(0.99), "99%"),
            unit="s",
        ),
        lines(
            both("Records behind, by topic", "各主题积压记录"),
            Query("sum by (topic) (guanlan_lag_records)", "{{topic}}"),
        ),
        bars(
            both("Refused since the workers' start, by reason", "自启动以来拒收（按原因）"),
            Query("sum by (reason) (guanlan_filings_rejected_total)", "{{reason}}"),
        ),
        lines(
            both("Refused a second, by reason", "每秒拒收（按原因）"),
            Query(per_second("guanlan_filings_rejected_total", "reason"), "{{reason}}"),
        ),
        lines(both("Time of a batch by stage, 99%", "批次各阶段耗时P99"), Query(stage(0.99), "{{stage}}"), unit="s"),
        number(
            both("Since the last progress", "距上次进展"),
            Query("time() - max(guanlan_last_progress_timestamp_seconds)"),
            unit="s",
            steps=((None, GREEN), (60, YELLOW), (300, RED)),
            width=4,
        ),
        number(
            both("Targets that take notices", "通知目标在线"),
            Query("min by (sink) (guanlan_desk_sink_up)", "{{sink}}"),
            steps=((None, RED), (1, GREEN)),
            width=4,
        ),
        lines(
            both("Notices a second by target and kind", "各目标每秒通知"),
            Query(per_second("guanlan_desk_notices_total", "sink, kind"), "{{sink}} {{kind}}"),
        ),
    ]
