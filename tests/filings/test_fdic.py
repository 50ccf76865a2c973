"""The FDIC's data: its file through our mapping, and its API against a local server that speaks its JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx
import numpy as np
import pytest

from rules.catalogue import load_catalogue
from streams.clients import ServiceError
from streams.fdic import FINANCIALS as FIELDS
from streams.fdic import BankFind
from streams.submit import load_columns
from streams.wire import from_seconds
from tests.fdic import FINANCIALS, SILICON_VALLEY_BANK, needs_fdic
from tests.filings.conftest import Run


@needs_fdic
def test_the_whole_file_becomes_filings() -> None:
    """All 418 filings of 15 banks are accepted, dollars and fractions, submitted on the day they were due."""
    catalogue = load_catalogue(["us-fdic"])
    (columns,), refused = load_columns([FINANCIALS], "us-fdic", catalogue)
    assert refused == []
    assert (len(columns), len(set(columns.institutions))) == (418, 15)
    last = max(i for i, code in enumerate(columns.institutions) if code == SILICON_VALLEY_BANK)
    assert from_seconds(columns.as_of[last]) == "2022-12-31"
    assert from_seconds(columns.submitted_at[last]) == "2023-01-30T05:00:00Z"  # that day began in New York
    told = dict(zip(catalogue.reported("us.call.q"), columns.values[:, last].tolist(), strict=True))
    assert told["total_assets"] == 209_026_000_000
    assert told["uninsured_deposits"] == 151_592_000_000
    assert told["cet1_ratio"] == 0.1526
    assert not np.isnan(columns.values).any()


@dataclass
class Api:
    """A stand-in for the API: rows by endpoint, faults to answer first, and the requests it saw."""

    rows: dict[str, list[dict[str, Any]]]
    faults: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str) -> tuple[int, str, dict[str, str]]:
        """Return status, body and headers for a request."""
        parsed = urlparse(path)
        query = {key: values[0] for key, values in parse_qs(parsed.query).items()}
        endpoint = parsed.path.rpartition("/")[2]
        self.asked.append({"endpoint": endpoint, **query})
        if self.faults:
            return self.faults.pop(0)
        cert = int(query["filters"].removeprefix("CERT:"))
        rows = [row for row in self.rows[endpoint] if row["CERT"] == cert]
        fields = query["fields"].split(",")
        start = int(query["offset"])
        page = rows[start : start + int(query["limit"])]
        body = {
            "meta": {"total": len(rows), "parameters": query},
            "data": [{"data": {k: v for k, v in row.items() if k in fields}, "score": 0} for row in page],
            "totals": {"count": len(rows)},
        }
        return 200, json.dumps(body), {}


@pytest.fixture
def api() -> Iterator[Api]:
    """An API on loopback with ten quarters of one bank and one of another."""
    quarters = [f"{year}{day}" for year in (2021, 2022, 2023) for day in ("0331", "0630", "0930", "1231")][:10]
    financials = [dict.fromkeys(FIELDS, 1.5) | {"CERT": 7, "REPDTE": day, "ASSET": 1000} for day in quarters]
    financials.append({"CERT": 9, "REPDTE": "20220331", "ASSET": None, "ID": "9_20220331"})
    institutions = [{"CERT": 7, "NAME": 'The "Seventh", N.A.', "CITY": "Kansas City", "STALP": "MO", "BKCLASS": "N"}]
    stand_in = Api({"financials": financials, "institutions": institutions})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = stand_in.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Keep the test's output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stand_in.url = f"http://127.0.0.1:{server.server_address[1]}/api"
        yield stand_in
        server.shutdown()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client as the command opens it."""
    with httpx.Client(timeout=5) as opened:
        yield opened


def test_pages_are_put_together(api: Api, client: httpx.Client) -> None:
    """Every row comes once, in the server's order, however small the pages are."""
    rows = list(BankFind(client, api.url, page=4).rows("financials", 7, FIELDS))
    assert [row["REPDTE"] for row in rows] == [row["REPDTE"] for row in api.rows["financials"] if row["CERT"] == 7]
    assert [asked["offset"] for asked in api.asked] == ["0", "4", "8"]
    assert api.asked[0]["filters"] == "CERT:7"
    assert "api_key" not in api.asked[0]


def test_a_passing_fault_is_waited_out(api: Api, client: httpx.Client) -> None:
    """After 500, 429 and 503 the request is repeated, waiting longer each time, or as long as the server asks."""
    api.faults = [(500, "oops", {}), (429, "slow down", {"Retry-After": "17"}), (503, "", {"Retry-After": "soon"})]
    waits: list[float] = []
    rows = list(BankFind(client, api.url, sleep=waits.append).rows("financials", 9, ["CERT", "REPDTE"]))
    assert rows == [{"CERT": 9, "REPDTE": "20220331"}]
    assert waits == [1.0, 17.0, 4.0]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([(400, '{"errors": [{"title": "bad filter"}]}', {})], "answered 400: .*bad filter"),
        ([(403, "API_KEY_MISSING", {})], "answered 403: API_KEY_MISSING"),
        ([(500, "oops", {})] * 5, r"answered 500: oops \(5 attempts\)"),
        ([(200, "<html>maintenance</html>", {})], "did not answer with JSON: <html>"),
        ([(200, '{"meta": {}}', {})], "in another shape than is documented"),
        ([(200, '{"meta": {"total": 1}, "data": [3]}', {})], "in another shape than is documented"),
        ([(200, "[]", {})], "in another shape than is documented"),
    ],
)
def test_a_lasting_fault_is_one_sentence(
    api: Api, client: httpx.Client, faults: list[tuple[int, str, dict[str, str]]], words: str
) -> None:
    """What the server says is in the error, on one line, and the key is not."""
    api.faults = list(faults)
    bank_find = BankFind(client, api.url, key="secret", sleep=lambda seconds: None)
    with pytest.raises(ServiceError, match=words) as caught:
        list(bank_find.rows("financials", 7, FIELDS))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert api.asked[0]["api_key"] == "secret"


def test_no_server_is_an_error(client: httpx.Client) -> None:
    """A server that does not answer is tried five times and then named."""
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:1/api/financials .*\(5 attempts\)"):
        list(BankFind(client, "http://127.0.0.1:1/api", sleep=lambda seconds: None).rows("financials", 7, FIELDS))


def test_what_is_imported_goes_through_the_mapping(
    api: Api, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """`guanlan import fdic` writes files that the mapping reads, for the time that was asked for."""
    out, banks = tmp_path / "f.csv", tmp_path / "i.csv"
    asked = ["--url", api.url, "--cert", "7", "--from", "2021-06-30", "--to", "2022-12-31"]
    assert guanlan("import", "fdic", *asked, "--out", str(out), "--institutions", str(banks)) == 0
    assert capsys.readouterr().out == f"7 filings of 1 banks in {out}\n1 banks in {banks}\n"
    assert banks.read_text().splitlines()[1] == '7,"The ""Seventh"", N.A.",Kansas City,MO,N,,,,,'
    (columns,), refused = load_columns([out], "us-fdic", load_catalogue(["us-fdic"]))
    assert refused == []
    assert columns.values[0].tolist() == [1_000_000.0] * 7


def test_a_bank_without_financials_is_told(
    api: Api, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are written; the exit code is 1 and the missing one is named."""
    out = tmp_path / "f.csv"
    code = guanlan("import", "fdic", "--cert", "9", "--cert", "4", "--url", api.url, "--out", str(out))
    told = capsys.readouterr()
    assert (code, told.out) == (1, f"1 filings of 1 banks in {out}\n")
    assert "no financials of certificate 4" in told.err
    assert out.read_text().splitlines()[1].startswith("9,20220331,,")


def test_a_failed_import_leaves_the_old_file(
    api: Api, tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the API fails, what was there before stays as it was, and the exit code is 3."""
    out = tmp_path / "f.csv"
    out.write_text("as it was")
    api.faults = [(404, "gone", {})]
    assert guanlan("import", "fdic", "--cert", "7", "--url", api.url, "--out", str(out)) == 3
    assert out.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [out]
    assert "answered 404: gone" in capsys.readouterr().err
