"""Panels of systemic risk: contagion, cascades, common exposures, importance, doubt, stress, market."""

from __future__ import annotations

from deploy.grafana.panels import Panels, Query, bars, both, lines, number
from deploy.grafana.queries import NAMED, Queries


def contagion(q: Queries) -> Panels:
    """DebtRank of the system and of institutions, and how concentrated the interbank market is."""
    return [
        lines(
            both(
                "DebtRank: share of the system's equity lost when one fails", "DebtRank：单家违约造成的系统权益损失占比"
            ),
            Query(q.of_system("debtrank_system"), both("mean", "均值")),
            Query(q.of_system("debtrank_largest"), both("largest", "最大")),
            unit="percentunit",
        ),
        bars(
            both("DebtRank impact: the ten highest", "DebtRank影响力：最高的十家"),
            Query(q.highest(q.of("debtrank_impact")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("DebtRank vulnerability: the ten highest", "DebtRank脆弱性：最高的十家"),
            Query(q.highest(q.of("debtrank_vulnerability")), NAMED),
            unit="percentunit",
        ),
        lines(
            both("Interbank concentration (HHI)", "同业集中度(HHI)"),
            Query(q.of_system("interbank_borrower_hhi"), both("borrowing", "融入")),
            Query(q.of_system("interbank_lender_hhi"), both("lending", "融出")),
            width=12,
        ),
        bars(
            both("Largest counterparty's share of lending: the ten highest", "最大同业对手方占比：最高的十家"),
            Query(q.highest(q.of("interbank_largest_share")), NAMED),
            unit="percentunit",
        ),
        number(
            both("Exposures reported", "敞口报送覆盖率"),
            Query(q.of_system("exposure_coverage")),
            unit="percentunit",
            width=4,
        ),
        lines(
            both("Debts unpaid after clearing", "清算缺口率"),
            Query(q.of_system("clearing_shortfall"), both("as the books stand", "现状")),
            Query(q.of_system("clearing_shortfall_stressed"), both("after a loss of 5 % of assets", "外部资产损失5%")),
            unit="percentunit",
        ),
        lines(
            both("Third parties: worst outage and concentration", "外部服务商：最大中断影响与集中度"),
            Query(q.of_system("provider_outage_reach"), both("worst outage", "最大中断影响")),
            Query(q.of_system("provider_concentration"), both("concentration (HHI)", "集中度(HHI)")),
        ),
        lines(
            both("Exposures on which both sides differ", "双边报送不一致金额占比"),
            Query(q.of_system("exposure_mismatch_share"), both("share of amounts", "金额占比")),
            unit="percentunit",
        ),
    ]


def cascades(q: Queries) -> Panels:
    """Cascades of defaults, what each pays under stress, and who causes what the stress adds."""
    return [
        lines(
            both("Cascades: largest share of equity lost", "级联：最大权益损失占比"),
            Query(q.of_system("threshold_impact_largest"), both("by defaults alone", "仅违约传导")),
            Query(q.of_system("debtrank_2012_impact_largest"), both("distress passed on once", "单次困境传导")),
            Query(q.of_system("debtrank_largest"), both("linear DebtRank", "线性DebtRank")),
            unit="percentunit",
        ),
        bars(
            both("Defaults in sequence that one default brings: the ten highest", "引发顺序违约家数：最高的十家"),
            Query(q.highest(q.of("furfine_defaults")), NAMED),
        ),
        bars(
            both("Who causes what stress adds to unpaid debts (Shapley)", "压力新增清算缺口归因（Shapley）"),
            Query('sort_desc(guanlan_measure_part{measure="clearing_shortfall_added"})', "{{part}}"),
            unit="percentunit",
        ),
        bars(
            both("Share of debts paid under stress: the ten lowest", "压力情景偿付率：最低的十家"),
            Query(q.lowest(q.of("clearing_payment_ratio_stressed")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("Threshold impact: the ten highest", "违约级联影响力：最高的十家"),
            Query(q.highest(q.of("threshold_impact")), NAMED),
            unit="percentunit",
        ),
        lines(
            both("Shape of the interbank market", "同业市场结构"),
            Query(q.of_system("interbank_density"), both("density", "密度")),
            Query(q.of_system("interbank_borrower_gini"), both("Gini of borrowing", "融入基尼")),
            Query(q.of_system("interbank_lender_gini"), both("Gini of lending", "融出基尼")),
            Query(q.of_system("interbank_borrower_top_five"), both("five largest borrowers", "前五大融入")),
            Query(q.of_system("cascade_concordance"), both("Kendall's W of cascades", "级联度量一致性")),
            unit="percentunit",
        ),
    ]


def common(q: Queries) -> Panels:
    """Fire sales by asset class and institution; outages by provider and institution."""
    return [
        lines(
            both(
                "Fire sales: losses over equity, half to twice the price impact",
                "资产抛售损失占权益（价格冲击减半至加倍）",
            ),
            Query(q.of_system("fire_sale_vulnerability_high"), both("twice", "加倍")),
            Query(q.of_system("fire_sale_vulnerability"), both("assumed", "基准")),
            Query(q.of_system("fire_sale_vulnerability_low"), both("half", "减半")),
            unit="percentunit",
        ),
        bars(
            both("Fire sales: one asset class alone", "资产抛售：单一资产类别"),
            Query('sort_desc(guanlan_measure_case{measure="fire_sale_vulnerability"})', "{{case}}"),
            unit="percentunit",
        ),
        bars(
            both("Fire sales: what its sales cost all, the ten highest", "资产抛售：机构贡献最高的十家"),
            Query(q.highest(q.of("fire_sale_systemicness")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("Outage of each provider: critical services stopped", "各服务商中断影响的关键服务占比"),
            Query('sort_desc(guanlan_measure_case{measure="provider_outage_reach"})', "{{case}}"),
            unit="percentunit",
        ),
        lines(
            both("Outages behind the providers", "上游供应商中断影响"),
            Query(q.of_system("provider_nth_party_reach"), both("by way of others", "经由上游")),
            unit="percentunit",
        ),
        bars(
            both("Largest dependence on one outage: the ten highest", "单一中断影响本机构：最高的十家"),
            Query(q.highest(q.of("provider_dependence_largest")), NAMED),
            unit="percentunit",
        ),
    ]


def importance(q: Queries) -> Panels:
    """Scores of systemic importance, how concentrated the sector is, and how much of it is in breach."""
    return [
        bars(
            both("D-SIB score, basis points: the ten highest", "国内系统重要性得分（基点）：前十家"),
            Query(q.highest(q.of("dsib_score")), NAMED),
        ),
        bars(
            both(
                "G-SIB score among these banks, basis points: the ten highest", "本辖区样本全球系统重要性得分：前十家"
            ),
            Query(q.highest(q.of("gsib_score")), NAMED),
        ),
        lines(
            both("Share of the sector in breach", "不达标机构占比"),
            Query(q.of_system("cet1_breach_share"), both("core tier 1", "核心一级资本")),
            Query(q.of_system("lcr_breach_share"), "LCR"),
            Query(q.of_system("npl_breach_share"), both("bad loans", "不良率")),
            Query(q.of_system("solvency_breach_share"), both("solvency", "偿付能力")),
            unit="percentunit",
        ),
        number(both("Concentration of assets (HHI)", "资产集中度(HHI)"), Query(q.of_system("assets_hhi")), width=4),
        number(both("Concentration of deposits (HHI)", "存款集中度(HHI)"), Query(q.of_system("deposits_hhi")), width=4),
        number(
            both("Banks in a D-SIB bucket by score", "按得分入围的系统重要性银行"),
            Query(f"sum({q.of('dsib_score_bucket')} >= bool 1)"),
            width=4,
        ),
    ]


def doubt(q: Queries) -> Panels:
    """What is known as totals only, the range over networks that fit, and whether measures agree."""
    return [
        lines(
            both("DebtRank, largest: range over networks that fit", "DebtRank最大影响：重构网络区间"),
            Query(q.of_system("debtrank_largest_high"), both("highest", "最高")),
            Query(q.of_system("debtrank_largest"), both("median", "中位")),
            Query(q.of_system("debtrank_largest_low"), both("lowest", "最低")),
            unit="percentunit",
        ),
        lines(
            both("Defaults that one failure brings: range", "单一倒闭引发违约家数：区间"),
            Query(q.of_system("funding_defaults_largest_high"), both("highest", "最高")),
            Query(q.of_system("funding_defaults_largest"), both("median", "中位")),
            Query(q.of_system("funding_defaults_largest_low"), both("lowest", "最低")),
        ),
        bars(
            both("Impact rank, worst over networks: the ten most important", "影响力排名（重构网络最低位次）：前十家"),
            Query(q.lowest(q.of("debtrank_impact_rank_high")), NAMED),
        ),
        lines(
            both("Known as totals only · agreement of contagion measures", "仅知总额占比 · 传染度量一致性"),
            Query(q.of_system("exposure_reconstructed"), both("reconstructed", "重构占比")),
            Query(q.of_system("contagion_concordance"), both("Kendall's W", "肯德尔W")),
            unit="percentunit",
            width=12,
        ),
        bars(
            both("Measures without a value, by reason", "无法计算的度量及原因"),
            Query("guanlan_measure_unavailable", "{{measure}}: {{reason}}"),
            width=12,
        ),
    ]


def stress(q: Queries) -> Panels:
    """The stress index, what it is the sum of, and what moved it since the date before."""
    return [
        lines(
            both("Stress index and what correlation takes from it", "压力指数与相关性部分"),
            Query(q.of_system("stress_index"), both("index", "指数")),
            Query(q.of_system("stress_correlation"), both("correlation", "相关性")),
        ),
        lines(
            both("Stress index: parts", "压力指数：构成"),
            Query('guanlan_measure_part{measure="stress_index"}', "{{part}}"),
            stacked=True,
        ),
        bars(
            both("What moved the stress index since the date before", "压力指数较上期变动来源"),
            Query('sort_desc(guanlan_measure_move{measure="stress_index"})', "{{part}}"),
        ),
        number(
            both("Stress indicators known", "压力指标覆盖率"),
            Query(q.of_system("stress_coverage")),
            unit="percentunit",
            width=4,
        ),
        number(
            both("Credit-to-GDP gap", "信贷/GDP缺口"), Query(q.of_system("credit_gap")), unit="percentunit", width=4
        ),
        number(both("Buffer guide", "缓冲指引"), Query(q.of_system("buffer_guide")), unit="percentunit", width=4),
    ]


def market(q: Queries) -> Panels:
    """Measures of share prices, with their bounds."""
    return [
        lines(
            both("SRISK of all, 90 % interval", "系统SRISK总额（90%区间）"),
            Query(q.of_system("system_srisk_high"), both("high", "上限")),
            Query(q.of_system("system_srisk"), "SRISK"),
            Query(q.of_system("system_srisk_low"), both("low", "下限")),
        ),
        bars(both("SRISK: the ten largest", "SRISK：最大的十家"), Query(q.highest(q.of("srisk")), NAMED)),
        bars(
            both("SRISK rank, worst at 90 %: the ten riskiest", "SRISK排名（90%区间最后）：前十家"),
            Query(q.lowest(q.of("srisk_rank_high")), NAMED),
        ),
        bars(
            both("MES, lower bound: the ten highest", "MES下限：最高的十家"),
            Query(q.highest(q.of("mes_low")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("ΔCoVaR, lower bound: the ten highest", "ΔCoVaR下限：最高的十家"),
            Query(q.highest(q.of("delta_covar_low")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("Distance to default, upper bound: the ten nearest", "违约距离上限：最小的十家"),
            Query(q.lowest(q.of("distance_to_default_high")), NAMED),
        ),
        bars(
            both("LRMES: the ten highest", "LRMES：最高的十家"),
            Query(q.highest(q.of("lrmes")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("LRMES simulated from history, lower bound: the ten highest", "历史抽样LRMES下限：最高的十家"),
            Query(q.highest(q.of("lrmes_simulated_low")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("LRMES by GJR-GARCH-DCC: the ten highest", "GJR-GARCH-DCC的LRMES：最高的十家"),
            Query(q.highest(q.of("lrmes_garch")), NAMED),
            unit="percentunit",
        ),
        bars(
            both("ΔCoVaR given the state of the market: the ten highest", "给定市场状态的ΔCoVaR：最高的十家"),
            Query(q.highest(q.of("delta_covar_states")), NAMED),
            unit="percentunit",
        ),
        bars(both("PCAS: the ten highest", "主成分暴露：最高的十家"), Query(q.highest(q.of("pcas")), NAMED)),
        bars(
            both("Net spillover: the ten highest", "净溢出：最高的十家"),
            Query(q.highest(q.of("spillover_net")), NAMED),
            unit="percentunit",
        ),
        lines(
            both("Absorption ratio, 90 % interval", "吸收比率（90%区间）"),
            Query(q.of_system("absorption_ratio_high"), both("high", "上限")),
            Query(q.of_system("absorption_ratio"), both("ratio", "比率")),
            Query(q.of_system("absorption_ratio_low"), both("low", "下限")),
            unit="percentunit",
        ),
        lines(
            both("Spillover, 90 % interval, and Granger-causal links", "溢出指数（90%区间）与格兰杰因果度"),
            Query(q.of_system("spillover_index_high"), both("high", "上限")),
            Query(q.of_system("spillover_index"), both("spillover", "溢出")),
            Query(q.of_system("spillover_index_low"), both("low", "下限")),
            Query(q.of_system("granger_degree"), both("Granger links", "因果度")),
            Query(q.of_system("granger_degree_high"), both("Granger links, high", "因果度上限")),
            Query(q.of_system("granger_degree_low"), both("Granger links, low", "因果度下限")),
            unit="percentunit",
        ),
        lines(
            both("Turbulence of the day", "金融动荡指数"),
            Query(q.of_system("turbulence_high"), both("high", "上限")),
            Query(q.of_system("turbulence"), both("distance²", "距离平方")),
            Query(q.of_system("turbulence_low"), both("low", "下限")),
        ),
        lines(
            both("Market index: drawdown and volatility", "市场指数：回撤与波动率"),
            Query(q.of_system("market_drawdown"), both("drawdown", "回撤")),
            Query(q.of_system("market_volatility"), both("volatility", "波动率")),
            unit="percentunit",
        ),
        bars(
            both("Market beta: the ten highest", "市场贝塔：最高的十家"), Query(q.highest(q.of("market_beta")), NAMED)
        ),
        lines(
            both("Quotes of the day · agreement of market measures", "行情覆盖率 · 市场度量一致性"),
            Query(q.of_system("market_coverage"), both("coverage", "覆盖率")),
            Query(q.of_system("market_concordance"), both("Kendall's W", "肯德尔W")),
            unit="percentunit",
        ),
    ]
