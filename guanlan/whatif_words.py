"""The words of a scenario's report, in English and Chinese."""

from __future__ import annotations

from collections.abc import Callable

CHINESE = {
    "What if": "情景推演",
    "{institutions} institutions, {classes} asset classes. At severity {severity}: {lost} of all equity lost, "
    "{defaults} in default, {illiquid} unable to meet calls, at rest after {rounds} rounds.": (
        "共{institutions}家机构、{classes}类资产。冲击强度为{severity}时:权益合计损失{lost},{defaults}家违约,"
        "{illiquid}家无法满足兑付,经{rounds}轮后稳定。"
    ),
    "By severity": "按冲击强度",
    "Severity": "强度",
    "direct": "直接损失",
    "credit": "信用损失",
    "distress": "困境减值",
    "fire sale": "抛售损失",
    "equity before": "冲击前权益",
    "equity after": "冲击后权益",
    "Of all equity": "占全部权益",
    "Defaults": "违约",
    "Illiquid": "流动性不足",
    "Rules": "触发规则",
    "At severity {severity}": "冲击强度{severity}",
    "What took the sector's equity, by channel; the parts add up.": "行业权益损失按渠道分解,各部分之和等于总额。",
    "The largest institutions and who has lent to whom: size by assets, colour by share of equity lost, black ring in "
    "default, red lines claims on a defaulter.": (
        "规模最大的机构及其相互债权:圆的大小为资产规模,颜色为权益损失比例,黑圈为违约,红线为对违约机构的债权。"
    ),
    "{count} smaller ones are not drawn.": "另有{count}家较小机构未画出。",
    "Equity lost, by severity": "各强度下的权益损失",
    "Institution": "机构",
    "default": "违约",
    "illiquid": "流动性不足",
    "Equity of the sector lost, by severity of two shocks": "两类冲击不同强度下的行业权益损失",
    "Down: {down}; across: {across}; all else at severity 1. Below each share, how many default.": (
        "纵向:{down};横向:{across};其余冲击强度为1。比例下方为违约家数。"
    ),
    "institutions": "机构",
    "equity": "权益",
    "asset classes": "资产类别",
    "funding": "融资",
    "providers": "服务商",
    "Rounds": "各轮情况",
    "Round": "轮次",
    "Sold": "抛售",
    "Recalled": "收回融出",
    "and {count} more": "等另外{count}家",
    "Institutions": "各机构",
    "Equity before": "冲击前权益",
    "Equity after": "冲击后权益",
    "Ratio before": "冲击前比率",
    "Ratio after": "冲击后比率",
    "Rules that would fire": "将触发的规则",
    "Rule": "规则",
    "State": "状态",
    "None.": "无。",
    "firing": "触发",
    "escalated": "升级",
    "pending": "待确认",
    "watch": "关注",
    "warning": "预警",
    "critical": "严重",
}


def words(language: str) -> Callable[..., str]:
    """Return what says a phrase of the report in the language, with values put in; English where none is known."""

    def say(phrase: str, **values: object) -> str:
        return (CHINESE.get(phrase, phrase) if language == "zh" else phrase).format(**values)

    return say
