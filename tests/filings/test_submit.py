"""`guanlan submit`: what is judged, what is sent, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import ClusterAuthorizationFailedError, IncompatibleBrokerVersion, NotLeaderForPartitionError

from rules.catalogue import load_catalogue
from rules.registry import Institution
from streams.clients import ServiceError, open_producer, read_to_end
from streams.decode import Decoder
from streams.encodings import Encoding, encoding_of
from streams.publish import Parcel, Publisher
from streams.registry import publish_institutions, read_seed
from streams.topics import FILINGS, INSTITUTIONS, LARGEST_RECORD, create_topics, topic_table
from tests.fdic import FINANCIALS, needs_fdic
from tests.fdic import INSTITUTIONS as FDIC_INSTITUTIONS
from tests.filings.conftest import Run
from tests.parts import Broker

CATALOGUE = """
catalogue: test
forms:
  - {id: t.day, frequency: daily}
indicators:
  - {id: lcr, form: t.day, unit: ratio, range: [0, 20]}
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue of one form."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


@pytest.fixture
def topics(kafka: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The prefix of topics that are there, and that the command line uses."""
    create_topics(kafka.bootstrap, topic_table(topic_prefix, partitions=3))
    monkeypatch.setenv("GUANLAN_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("GUANLAN_TOPIC_PREFIX", topic_prefix)
    return topic_prefix


def filing(code: str, day: int = 1, **changes: Any) -> bytes:
    """Return a filing as a line."""
    told = {
        "institution": code,
        "form": "t.day",
        "as_of": f"2026-03-{day:02}",
        "submitted_at": "2026-04-01",
        "values": {"lcr": 1.2},
    }
    return json.dumps(told | changes).encode()


def lines(tmp_path: Path, *records: bytes) -> Path:
    """Return a JSON Lines file of these records."""
    path = tmp_path / "filings.jsonl"
    path.write_bytes(b"\n".join(records))
    return path


MIXED = (
    filing("CN001"),
    filing("CN002", values={"lrc": 1}),
    b"{broken",
    filing("CN001", day=2),
    filing("CN002", values={"lcr": 120}),
    filing("CN002", day=3, values={"lrc": 1}),
)


def test_a_dry_run_judges_and_needs_no_broker(
    catalogue: Path, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with the counts by reason, lists each rejected filing with its row, and exits 1."""
    path = lines(tmp_path, *MIXED)
    assert guanlan("submit", path, "--catalogue", catalogue, "--dry-run", "--show", 3) == 1
    told = capsys.readouterr()
    assert told.out == "2 acceptable, 4 rejected\n  unknown_indicator 2\n  not_json 1\n  out_of_range 1\n"
    assert told.err.replace(str(path), "F").splitlines() == [
        "F row 2: unknown_indicator: form t.day has no indicator 'lrc'; did you mean 'lcr'?",
        "F row 3: not_json: expecting property name enclosed in double quotes at character 1",
        "F row 5: out_of_range: lcr is 120, outside [0, 20]; ratios are fractions, 120 % is 1.2",
        "… and 1 more rejected",
    ]


def test_a_file_that_cannot_be_read_ends_with_2(
    catalogue: Path, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreadable or empty file is a mistake of the call; what was judged before it is still told."""
    good, bad = lines(tmp_path, *MIXED), tmp_path / "bad.csv"
    bad.write_bytes(b"institution,form,as_of\n\xff,t.day,2026-03-01\n")
    assert guanlan("submit", good, bad, "--catalogue", catalogue, "--dry-run") == 2
    assert "is not utf-8" in capsys.readouterr().err
    good.write_bytes(b"\n")
    assert guanlan("submit", good, "--catalogue", catalogue, "--dry-run") == 2
    assert "there are no filings in" in capsys.readouterr().err


def test_no_broker_ends_with_3(
    catalogue: Path, tmp_path: Path, guanlan: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no broker answers nothing is counted as accepted, and one sentence says so."""
    monkeypatch.setattr("streams.clients.CONNECT_SECONDS", 0.3)
    path = lines(tmp_path, *MIXED)
    assert guanlan("submit", path, "--catalogue", catalogue, "--bootstrap", "127.0.0.1:1") == 3
    told = capsys.readouterr()
    assert (told.out, "no Kafka broker answers at 127.0.0.1:1" in told.err) == ("", True)


def test_accepted_filings_are_on_the_topic_as_they_were(
    kafka: Broker, topics: str, catalogue: Path, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only good filings are sent: the very bytes, under their institution's key, in order, in its one partition."""
    path = lines(tmp_path, *MIXED)
    assert guanlan("submit", path, "--catalogue", catalogue) == 1
    told = capsys.readouterr()
    assert told.out.startswith("2 accepted, 4 rejected\n")
    assert "No institution is registered" in told.err
    records = list(read_to_end(kafka.bootstrap, topics + FILINGS))
    assert [(r.key, r.value) for r in records] == [(b"CN001", MIXED[0]), (b"CN001", MIXED[3])]
    assert len({r.partition for r in records}) == 1


@pytest.mark.parametrize("encoding", Encoding)
def test_filings_are_sent_in_the_encoding_asked_for(
    kafka: Broker, topics: str, catalogue: Path, tmp_path: Path, guanlan: Run, encoding: Encoding
) -> None:
    """The records on the topic say by their headers what they are, and decode to what the files say."""
    told = [filing("CN001", day, values={"lcr": day / 10}, meta={"day": day}) for day in (1, 2, 3)]
    path = lines(tmp_path, *told, filing("CN001", day=4, values={"lcr": 0.4}), b"{broken")
    assert guanlan("submit", path, "--catalogue", catalogue, "--encoding", encoding, "--send-rejected") == 1
    records = list(read_to_end(kafka.bootstrap, topics + FILINGS))
    good = [r for r in records if r.value != b"{broken"]
    assert [encoding_of(r.headers) for r in good] == [encoding] * 4
    decoder = Decoder(load_catalogue([catalogue]))
    decoded = decoder.decode([r.value for r in good], [r.key for r in good], [r.headers for r in good])
    assert decoded.rejected == []
    assert decoded.forms[0].values[0].tolist()[:3] == [0.1, 0.2, 0.3]
    assert len(records) == 5


def test_the_rejected_can_be_sent_for_the_worker_to_judge(
    kafka: Broker, topics: str, catalogue: Path, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --send-rejected every record is sent, the bad ones under the institution they name, if they name one."""
    path = lines(tmp_path, *MIXED)
    assert guanlan("submit", path, "--catalogue", catalogue, "--send-rejected") == 1
    assert capsys.readouterr().out.startswith("2 accepted, 4 rejected\n")
    records = list(read_to_end(kafka.bootstrap, topics + FILINGS))
    assert sorted(r.value or b"" for r in records) == sorted(MIXED)
    assert {r.value: r.key for r in records}[b"{broken"] is None
    assert {r.key for r in records if r.value in (MIXED[1], MIXED[4], MIXED[5])} == {b"CN002"}


def test_the_registry_is_asked(
    kafka: Broker, topics: str, catalogue: Path, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once institutions are registered, a filing of any other is refused before it is sent."""
    publish_institutions(kafka.bootstrap, topics + INSTITUTIONS, [Institution("CN001")])
    path = lines(tmp_path, filing("CN001"), filing("CN007"))
    assert guanlan("submit", path, "--catalogue", catalogue) == 1
    told = capsys.readouterr()
    assert told.out == "1 accepted, 1 rejected\n  unknown_institution 1\n"
    assert "row 2: unknown_institution: no institution 'CN007' is registered; did you mean 'CN001'?" in told.err
    assert [r.key for r in read_to_end(kafka.bootstrap, topics + FILINGS)] == [b"CN001"]


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int, err: BaseException) -> None:
    """Let the producer's `send` raise once it was called so many times."""
    from kafka import KafkaProducer

    real, count = KafkaProducer.send, 0

    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count > after:
            raise err
        return real(self, *args, **kwargs)

    monkeypatch.setattr(KafkaProducer, "send", send)


@pytest.mark.parametrize("err", [KeyboardInterrupt(), SystemExit(137), NotLeaderForPartitionError()])
def test_what_broke_off_is_said_and_goes_on_from_there(
    kafka: Broker,
    topics: str,
    catalogue: Path,
    tmp_path: Path,
    guanlan: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    err: BaseException,
) -> None:
    """In the middle of the second piece: the command says which rows are in Kafka; --resume sends the others once."""
    monkeypatch.setenv("GUANLAN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("guanlan.sending.PIECE", 4)
    told = [filing(f"CN{n:03}") for n in range(10)]
    path = lines(tmp_path, *told)
    asked = ["submit", path, "--catalogue", catalogue]
    assert guanlan(*asked, "--resume") == 2
    assert "there is nothing to resume" in capsys.readouterr().err
    with monkeypatch.context() as patched:
        interrupted(patched, 6, err)
        assert guanlan(*asked) in (130, 137, 3)
    said = capsys.readouterr()
    assert said.out == ""
    assert f"4 filings are in Kafka: all up to {path} row 4." in said.err
    assert "The same command with --resume" in said.err
    there = [r.value for r in read_to_end(kafka.bootstrap, topics + FILINGS)]
    assert set(told[:4]) <= set(there) <= set(told[:6])
    path.write_bytes(path.read_bytes() + b"\n")
    assert guanlan(*asked, "--resume") == 2
    assert "has changed since a part of it was sent (4 filings are in Kafka)" in capsys.readouterr().err
    lines(tmp_path, *told)
    assert guanlan(*asked, "--resume") == 0
    said = capsys.readouterr()
    assert said.out == "10 accepted, 0 rejected\n"
    assert f"{len(there)} of the filings were in Kafka before." in said.err
    assert sorted(r.value or b"" for r in read_to_end(kafka.bootstrap, topics + FILINGS)) == told
    assert guanlan(*asked, "--resume") == 2


def test_a_file_that_ends_badly_sends_nothing(
    kafka: Broker, topics: str, catalogue: Path, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five thousand good rows before a stray quote are not in Kafka: the file is a mistake, and exit 2 says so."""
    path = tmp_path / "f.csv"
    rows = "".join(f"CN{n:05},2026-03-01,1.3,\n" for n in range(5000))
    path.write_text(f'institution,as_of,lcr,note\n{rows}"CN"5000,2026-03-01,1.3,\n')
    assert guanlan("submit", path, "--form", "t.day", "--catalogue", catalogue) == 2
    said = capsys.readouterr()
    assert (said.out, "line 5002: can't be read" in said.err) == ("", True)
    assert list(read_to_end(kafka.bootstrap, topics + FILINGS)) == []


def test_the_topic_must_be_there(
    kafka: Broker,
    topic_prefix: str,
    catalogue: Path,
    tmp_path: Path,
    guanlan: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing makes the topic by accident, with the wrong partitions."""
    monkeypatch.setenv("GUANLAN_TOPIC_PREFIX", topic_prefix)
    path = lines(tmp_path, filing("CN001"))
    assert guanlan("submit", path, "--catalogue", catalogue, "--bootstrap", kafka.bootstrap) == 2
    assert f"there is no topic '{topic_prefix}filings'" in capsys.readouterr().err


def test_a_record_of_50_mb_is_refused_here_and_can_be_sent(
    kafka: Broker, topics: str, catalogue: Path, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is too large for a worker and refused by name; if sent all the same the topic takes it whole."""
    huge = filing("CN001", meta={"padding": "x" * 50_000_000})
    path = lines(tmp_path, huge, filing("CN001"))
    assert guanlan("submit", path, "--catalogue", catalogue, "--send-rejected") == 1
    told = capsys.readouterr()
    assert told.out == "1 accepted, 1 rejected\n  too_large 1\n"
    assert "row 1: too_large: the record has 50,000,143 bytes; the limit is 8,000,000" in told.err
    first, second = read_to_end(kafka.bootstrap, topics + FILINGS)
    assert (first.value == huge, first.key, second.value) == (True, b"CN001", filing("CN001"))


def test_a_record_over_the_topics_limit_is_told(
    kafka: Broker,
    topics: str,
    catalogue: Path,
    tmp_path: Path,
    guanlan: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the topic does not take, though the settings would, is counted as rejected; the rest is sent."""
    monkeypatch.setenv("GUANLAN_MAX_RECORD_BYTES", str(2 * LARGEST_RECORD))
    path = lines(tmp_path, filing("CN001", meta={"padding": "x" * (LARGEST_RECORD + 2_000_000)}), filing("CN001"))
    assert guanlan("submit", path, "--catalogue", catalogue) == 1
    told = capsys.readouterr()
    assert told.out == "1 accepted, 1 rejected\n  too_large 1\n"
    assert "over the topic's max.message.bytes" in told.err


@needs_fdic
def test_the_fdic_file_arrives_whole(
    kafka: Broker, topics: str, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real input: the registry, then all 418 filings through the mapping, each on the topic."""
    assert guanlan("institutions", "load", FDIC_INSTITUTIONS, "--mapping", "us-fdic") == 0
    assert guanlan("submit", FINANCIALS, "--mapping", "us-fdic", "--catalogue", "us-fdic") == 0
    assert capsys.readouterr().out == "15 institutions loaded\n418 accepted, 0 rejected\n"
    records = list(read_to_end(kafka.bootstrap, topics + FILINGS))
    assert len(records) == 418
    assert {r.key for r in records} == {i.code.encode() for i in read_seed([FDIC_INSTITUTIONS], "us-fdic")}


def test_institutions_are_loaded_and_listed(
    topics: str, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """`load` fills the registry, `list` shows it as a table or JSON Lines, in the language asked for."""
    assert guanlan("institutions", "list") == 1
    assert "no institution is registered" in capsys.readouterr().err
    seed = tmp_path / "seed.csv"
    seed.write_text("code,name,name_zh,type\nCN001,First Bank,第一银行,large_bank\n", encoding="utf-8")
    assert guanlan("institutions", "load", seed, "--dry-run") == 0
    assert guanlan("institutions", "load", seed) == 0
    assert guanlan("institutions", "list", "--language", "zh") == 0
    assert guanlan("institutions", "list", "--json") == 0
    out = capsys.readouterr().out
    assert out.startswith("1 institutions read\n1 institutions loaded\n")
    assert "第一银行" in out
    told = json.loads(out.splitlines()[-1])
    assert told.pop("registered")  # the moment of loading
    assert told == {
        "code": "CN001",
        "name": {"en": "First Bank", "zh": "第一银行"},
        "type": "large_bank",
    }


class Denied:
    """A producer whose broker denies idempotent writes; everything else is a real producer's."""

    def __init__(self, real: Any, err: Exception) -> None:
        self.real = real
        self.err = err

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Return a future that failed."""
        from kafka.future import Future

        return Future().failure(self.err)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_a_broker_that_denies_idempotence_gets_a_plain_producer(kafka: Broker, topics: str) -> None:
    """By access rules at the first records or by its version at once: each record is there once in the end."""

    def denying(bootstrap: str, enable_idempotence: bool, **options: Any) -> Any:
        real = open_producer(bootstrap, enable_idempotence=enable_idempotence, **options)
        return Denied(real, ClusterAuthorizationFailedError()) if enable_idempotence else real

    def old(bootstrap: str, enable_idempotence: bool, **options: Any) -> Any:
        if enable_idempotence:
            raise IncompatibleBrokerVersion
        return open_producer(bootstrap, enable_idempotence=False, **options)

    parcels = [Parcel(i, b"CN001", b"%d" % i) for i in range(5)]
    for open_ in (denying, old):
        with Publisher(kafka.bootstrap, topics + FILINGS, open_) as publisher:
            assert publisher.deliver(parcels) == []
            assert not publisher.idempotent
    values = [r.value for r in read_to_end(kafka.bootstrap, topics + FILINGS)]
    assert values == [parcel.value for parcel in parcels] * 2


def test_a_broker_that_refuses_everything_is_an_error(kafka: Broker, topics: str) -> None:
    """An error that is not of one record ends the run, instead of being counted as a rejection."""

    def refusing(bootstrap: str, **options: Any) -> Any:
        return Denied(open_producer(bootstrap, **options), NotLeaderForPartitionError())

    with (
        Publisher(kafka.bootstrap, topics + FILINGS, refusing) as publisher,
        pytest.raises(ServiceError, match="refused"),
    ):
        publisher.deliver([Parcel(0, b"CN001", b"x")])
