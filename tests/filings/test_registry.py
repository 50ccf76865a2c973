"""The registry: seed files of every kind, and the compacted topic."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rules.catalogue import load_catalogue
from rules.problems import ConfigError, InputError
from rules.registry import Institution
from streams.clients import open_producer
from streams.codes import known_types, lei_problem
from streams.mapping import parse_mapping
from streams.registry import (
    publish_institutions,
    read_institutions,
    read_registrations,
    read_seed,
    registered,
    retire_institutions,
)
from streams.topics import INSTITUTIONS, create_topics, require_topic, topic_table
from tests.fdic import INSTITUTIONS as FDIC_INSTITUTIONS
from tests.fdic import needs_fdic
from tests.parts import Broker

CSV = """code,name,name_zh,type,region,peer_group,lei,dsib_bucket,founded,branch_code
CN001,First Bank,第一银行,large_bank,CN-11,large,5493001KJTIIGC8Y1R12,2,1985,007
CN002,Second Bank,,city_bank,CN-31,,,,,
"""
YAML = """
institutions:
  - code: CN001
    name: {en: First Bank, zh: 第一银行}
    type: large_bank
    region: CN-11
    peer_group: large
    lei: 5493001KJTIIGC8Y1R12
    dsib_bucket: 2
    attributes: {founded: 1985, branch_code: "007"}
  - {code: CN002, name: {en: Second Bank}, type: city_bank, region: CN-31}
"""
BANKS = [
    Institution(
        "CN001",
        {"en": "First Bank", "zh": "第一银行"},
        "large_bank",
        "CN-11",
        "large",
        "5493001KJTIIGC8Y1R12",
        2,
        {"founded": 1985.0, "branch_code": "007"},
    ),
    Institution("CN002", {"en": "Second Bank"}, "city_bank", "CN-31"),
]


@pytest.mark.parametrize(("name", "text"), [("seed.csv", CSV), ("seed.yaml", YAML), ("list.yml", YAML[15:])])
def test_tables_and_yaml_tell_the_same(name: str, text: str, tmp_path: Path) -> None:
    """Both kinds of seed give the same institutions; other columns of a table are attributes."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_seed([path]) == BANKS


def test_dates_are_read_as_days_from_every_kind_of_seed(tmp_path: Path) -> None:
    """ISO days in tables and YAML, whatever form a mapping names; 9999 says that there is none."""
    wanted = [
        Institution("A", opened="1990-01-31", closed="2023-03-10", registered="2020-05-04"),
        Institution("B", opened="2004-03-01"),
    ]
    (tmp_path / "i.csv").write_text(
        "code,opened,closed,registered\nA,1990-01-31,2023-03-10,2020-05-04\nB,2004-03-01,9999-12-31,\n"
    )
    (tmp_path / "i.yaml").write_text(
        "- {code: A, opened: 1990-01-31, closed: 2023-03-10, registered: 2020-05-04}\n- {code: B, opened: 2004-03-01}\n"
    )
    assert read_seed([tmp_path / "i.csv"]) == read_seed([tmp_path / "i.yaml"]) == wanted
    (tmp_path / "f.csv").write_text(
        "CERT,NAME,CITY,STALP,BKCLASS,ESTYMD,ENDEFYMD\n1,One,X,NY,N,10/17/1983,03/10/2023\n2,Two,X,NY,N,01/02/1999,12/31/9999\n"
    )
    found = read_seed([tmp_path / "f.csv"], "us-fdic")
    assert [(i.opened, i.closed) for i in found] == [("1983-10-17", "2023-03-10"), ("1999-01-02", "")]


def test_a_reload_keeps_when_each_came() -> None:
    """What the seed says counts first, then what is known, then now."""
    known = {"A": "2020-05-04T01:00:00Z", "C": "2020-05-04T01:00:00Z"}
    seed = [Institution("A"), Institution("B"), Institution("C", registered="2019-01-01")]
    told = [i.registered for i in registered(seed, known, 86_400)]
    assert told == ["2020-05-04T01:00:00Z", "1970-01-02", "2019-01-01"]


def test_the_registrys_topic_says_when_each_came(kafka: Broker, topic_prefix: str) -> None:
    """By the record, else by the stamp of the first; who left and came again came again."""
    create_topics(kafka.bootstrap, topic_table(topic_prefix, partitions=2))
    topic = topic_prefix + INSTITUTIONS
    stamps = [(b"A", 1_000, ""), (b"A", 9_000, ""), (b"B", 2_000, "2020-05-04"), (b"C", 3_000, ""), (b"C", 4_000, None)]
    producer = open_producer(kafka.bootstrap)
    for code, at, said in [*stamps, (b"C", 5_000, "")]:
        value = None if said is None else msgspec.json.encode(Institution(code.decode(), registered=said))
        producer.send(topic, key=code, value=value, timestamp_ms=at).get(timeout=30)
    producer.close()
    assert read_registrations(kafka.bootstrap, topic) == {
        "A": "1970-01-01T00:00:01Z",
        "B": "2020-05-04",
        "C": "1970-01-01T00:00:05Z",
    }


@needs_fdic
def test_a_foreign_table_needs_only_a_mapping() -> None:
    """The FDIC's list becomes institutions, classes of charter become types."""
    found = {i.code: i for i in read_seed([FDIC_INSTITUTIONS], "us-fdic")}
    assert len(found) == 15
    assert found["24735"].name == {"en": "Silicon Valley Bank"}
    assert {i.type for i in found.values()} == {"commercial_bank", "savings_bank"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "s.csv",
            "code,type\nA,x\nA,y\n,z\nB\n",
            ["row 3: the code 'A' stands twice", "row 4: has no code", "1 cells"],
        ),
        ("s.csv", "code,dsib_bucket\nA,two\n", ["row 2: 'dsib_bucket' must be a whole number, not 'two'"]),
        ("s.csv", "kode\nA\n", ["row 2: has no code"]),
        ("s.csv", "code,closed\nA,soon\n", ["row 2: 'closed' must be a date as 2024-05-31, not 'soon'"]),
        ("s.csv", "code,registered\nA,2024-05-31T10:00\n", ["row 2: 'registered' must be a date"]),
        ("s.yaml", "- {code: A, opened: 2024-05-31, closed: 2024-05-01}\n", ["s.yaml:1", "before 'opened'"]),
        ("s.yaml", "- {code: A, nmae: x}\n- {name: {en: x}}\n", ["s.yaml:1:13", "'name'?", "s.yaml:2:3"]),
        ("s.yaml", "- {code: '', attributes: {a: [1]}}\n", ["can't be empty", "a text or a number"]),
        ("s.yaml", "banks: []\n", ["has no key 'banks'"]),
        ("s.yaml", "a: [\n", ["not valid YAML"]),
    ],
)
def test_everything_wrong_with_a_seed_is_said_at_once(name: str, text: str, words: list[str], tmp_path: Path) -> None:
    """Each mistake is named with its place; nothing is loaded."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_seed([path])
    for word in words:
        assert word in str(caught.value)


def test_a_value_the_mapping_does_not_know_is_refused(tmp_path: Path) -> None:
    """A class of charter without an entry in the mapping is an error with its row, not an empty type."""
    path = tmp_path / "i.csv"
    path.write_text("CERT,NAME,CITY,STALP,BKCLASS\n1,One,X,NY,ZZ\n")
    with pytest.raises(InputError, match="row 2: BKCLASS is 'ZZ', which the mapping has no value for"):
        read_seed([path], "us-fdic")
    path.write_text("CERT,NAME,CITY,STALP,BKCLAS\n1,One,X,NY,N\n")
    with pytest.raises(InputError, match="no column 'BKCLASS'; did you mean 'BKCLAS'"):
        read_seed([path], "us-fdic")


def test_the_topic_keeps_the_latest_of_each(kafka: Broker, topic_prefix: str) -> None:
    """Reading gives each institution as it was written last, without those retired or what is no institution."""
    create_topics(kafka.bootstrap, topic_table(topic_prefix, partitions=2))
    topic = topic_prefix + INSTITUTIONS
    assert read_institutions(kafka.bootstrap, topic) == []
    gone = Institution("CN003", {"en": "Third Bank"})
    assert publish_institutions(kafka.bootstrap, topic, [*BANKS, gone]) == 3
    renamed = Institution("CN002", {"en": "Second Bank Group"}, "city_bank", "CN-31")
    publish_institutions(kafka.bootstrap, topic, [renamed])
    retire_institutions(kafka.bootstrap, topic, ["CN003"])
    producer = open_producer(kafka.bootstrap)
    producer.send(topic, key=b"CN009", value=b"not an institution").get(timeout=30)
    producer.close()
    assert read_institutions(kafka.bootstrap, topic) == [BANKS[0], renamed]


def test_a_topic_that_is_not_there_is_empty_and_can_be_required(kafka: Broker, topic_prefix: str) -> None:
    """Reading creates nothing; a command that must write says how to make the topic."""
    topic = topic_prefix + INSTITUTIONS
    assert read_institutions(kafka.bootstrap, topic) == []
    with pytest.raises(ConfigError, match="run: guanlan topics create"):
        require_topic(kafka.bootstrap, topic)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("s.csv", "code,type\nA,LARGE BANK\n", ["row 2: no set of the catalogue has the type", "'large_bank'"]),
        ("s.yaml", "- {code: A, type: larg_bank}\n", ["s.yaml:1:3", "'large_bank'"]),
        ("s.csv", "code,lei\nA,NOTALEI\n", ["row 2: 'NOTALEI' is no LEI"]),
        ("s.csv", "code,lei\nA,5493001KJTIIGC8Y1R13\n", ["its check digits are 12"]),
        ("s.csv", f"code\n{'9' * 200}\n", ["row 2: 'code' has 200 characters; a code has 64 at most"]),
        ("s.csv", "code\nA B\n", ["a code has no blanks"]),
        (
            "s.csv",
            "code,peer_group\nA,Large\nB,large\n",
            ["'peer_group' is 'large' for B and 'Large' for A: write it in one way"],
        ),
    ],
)
def test_codes_are_checked_by_their_digits_and_types_by_the_catalogue(
    name: str, text: str, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_seed([path], types=known_types(load_catalogue(["cn"])))
    for word in words:
        assert word in str(caught.value)


# those of Bloomberg L.P., Deutsche Bank AG and Apple Inc.
@pytest.mark.parametrize("lei", ["5493001KJTIIGC8Y1R12", "7LTWFZYICNSX8D621K86", "HWUPKR0MPOU8FGXBT394"])
def test_real_leis_are_good_and_no_two_digits_may_change_places(lei: str) -> None:
    assert lei_problem(lei) == ""
    swapped = [lei[:i] + lei[i + 1] + lei[i] + lei[i + 2 :] for i in range(19) if lei[i] != lei[i + 1]]
    assert all(lei_problem(other) for other in swapped)


def test_ids_are_texts_in_every_kind_of_table(tmp_path: Path) -> None:
    """Digits and letters that look like a number of a computer, and leading zeros, stay what they are."""
    row = {"code": "007", "branch": "12E3", "parent_lei": "95980020140005881190", "founded": "1985", "zip": "0101"}
    paths = [tmp_path / f"s.{kind}" for kind in ("csv", "jsonl", "parquet", "xlsx")]
    paths[0].write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
    paths[1].write_text(json.dumps(row) + "\n", encoding="utf-8")
    pq.write_table(pa.table({name: [text] for name, text in row.items()}), paths[2])
    book = openpyxl.Workbook()
    book.active.append(list(row))
    book.active.append(list(row.values()))
    book.save(paths[3])
    told = {**row, "founded": 1985.0}
    del told["code"]
    for path in paths:
        assert [(i.code, i.attributes) for i in read_seed([path])] == [("007", told)], path.suffix


def test_a_number_in_place_of_a_long_code_is_refused(tmp_path: Path) -> None:
    """A spreadsheet keeps fifteen digits of a number: the others are made up."""
    path = tmp_path / "s.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["code", "lei"])
    book.active.append(["A", 95980020140005881190])
    book.save(path)
    with pytest.raises(InputError, match="row 2: lei is a number of more than 15 digits: store it as text"):
        read_seed([path])


def test_a_key_that_a_mapping_names_must_stand_in_some_line(tmp_path: Path) -> None:
    """In JSON Lines too, what a mapping names and no line has is an error with the nearest name."""
    path = tmp_path / "banks.jsonl"
    path.write_text('{"CERT": 7, "NAMES": "Seventh"}\n', encoding="utf-8")
    mapping = parse_mapping("mapping: m\ninstitutions: {code: CERT, name: {en: NAME}}\n", "m")
    with pytest.raises(InputError, match=r"has no column 'NAME'; did you mean 'NAMES'\?"):
        read_seed([path], mapping)
