"""Invented names of banks and insurers, Chinese and English.

The places and brands do not exist; a likeness to a real institution is chance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_FIRST = (
    ("岚", "Lan"), ("汐", "Xi"), ("鹭", "Lu"), ("棠", "Tang"), ("榕", "Rong"), ("苇", "Wei"), ("鸢", "Yuan"),
    ("黛", "Dai"), ("溯", "Su"), ("翎", "Ling"), ("砚", "Yan"), ("槿", "Jin"), ("颂", "Song"), ("霁", "Ji"),
    ("珩", "Heng"), ("屏", "Ping"), ("茗", "Ming"), ("箬", "Ruo"), ("澜", "Lan"), ("栖", "Qi"),
)  # fmt: skip
_SECOND = (
    ("陵", "ling"), ("泽", "ze"), ("浦", "pu"), ("原", "yuan"), ("屿", "yu"), ("渡", "du"), ("岭", "ling"),
    ("湾", "wan"), ("墟", "xu"), ("汀", "ting"), ("埠", "bu"), ("坞", "wu"),
)  # fmt: skip
_BRANDS = (
    ("承钧", "Chengjun"), ("九穗", "Jiusui"), ("乾岳", "Qianyue"), ("坤舆", "Kunyu"), ("同泽", "Tongze"),
    ("凌泉", "Lingquan"), ("瀚穹", "Hanqiong"), ("锦帆", "Jinfan"), ("嘉穗", "Jiasui"), ("启衡", "Qiheng"),
    ("博岳", "Boyue"), ("昭岚", "Zhaolan"), ("宏屿", "Hongyu"), ("睿舟", "Ruizhou"), ("朗曜", "Langyao"),
    ("晟川", "Shengchuan"), ("鼎岚", "Dinglan"), ("盈帆", "Yingfan"), ("沛霖", "Peilin"), ("昱衡", "Yuheng"),
)  # fmt: skip
_ABROAD = (
    ("北屿", "Nordhaven"), ("灰港", "Greyport"), ("橡谷", "Oakvale"), ("红岬", "Redcape"), ("白桥", "Whitebridge"),
    ("银滩", "Silverstrand"), ("长崖", "Longcliff"), ("石港", "Stonehaven"), ("麦野", "Wheatfield"),
    ("蓝湖", "Bluemere"), ("松岬", "Pinehead"), ("晨湾", "Morningbay"),
)  # fmt: skip

_FORMS: dict[str, tuple[tuple[tuple[str, str], ...], str, str]] = {
    "large_bank": (_BRANDS, "{}银行", "{} Bank"),
    "joint_stock_bank": (_BRANDS, "{}银行", "{} Bank"),
    "city_bank": ((), "{}银行", "Bank of {}"),
    "rural_bank": ((), "{}农商银行", "{} Rural Commercial Bank"),
    "digital_bank": (_BRANDS, "{}网络银行", "{} Online Bank"),
    "foreign_bank": (_ABROAD, "{}银行（中国）", "{} Bank (China)"),
    "life_insurer": (_BRANDS, "{}人寿", "{} Life"),
    "property_insurer": (_BRANDS, "{}财险", "{} Property & Casualty"),
    "reinsurer": (_BRANDS, "{}再保险", "{} Reinsurance"),
}


def places(rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Yield invented place names without end: 240 plain ones in random order, then numbered again."""
    pairs = [(a + b, x + y) for a, x in _FIRST for b, y in _SECOND]
    order = rng.permutation(len(pairs)).tolist()
    turn = 0
    while True:
        for index in order:
            chinese, english = pairs[index]
            yield (chinese, english) if not turn else (f"{chinese}{turn + 1}号", f"{english} {turn + 1}")
        turn += 1


def name_all(types: list[str], rng: np.random.Generator) -> list[dict[str, str]]:
    """Return a name {en, zh} for each institution type in turn; no two are alike."""
    place = places(rng)
    brands: dict[str, Iterator[tuple[str, str]]] = {}
    used: set[str] = set()
    names = []
    for kind in types:
        stock, chinese, english = _FORMS[kind]
        source = brands.setdefault(kind, iter(stock))
        while True:
            zh, en = next(source, None) or next(place)
            name = {"en": english.format(en), "zh": chinese.format(zh)}
            if name["zh"] not in used and name["en"] not in used:
                break
        used.update(name.values())
        names.append(name)
    return names
