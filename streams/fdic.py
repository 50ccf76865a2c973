"""Quarterly financials and institutions from the FDIC's BankFind Suite API, as CSV that the mapping `us-fdic` reads.

An answer of the API is {"meta": {"total": N, …}, "data": [{"data": {field: value}, "score": …}, …], …}; see
https://api.fdic.gov/banks/docs/.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rules.problems import InputError, nearest
from streams.clients import ServiceError

if TYPE_CHECKING:
    import httpx

URL = "https://api.fdic.gov/banks"
FINANCIALS = [
    "CERT",
    "REPDTE",
    "ASSET",
    "DEP",
    "EQ",
    "EQR",
    "NETINC",
    "ROA",
    "ROE",
    "NIMY",
    "EEFFR",
    "LNLSNET",
    "SC",
    "NPERFV",
    "NCLNLS",
    "NCLNLSR",
    "BRO",
    "DEPUNA",
    "DEPUNINS",
    "NONII",
    "NONIIR",
    "NTLNLS",
    "NTLNLSCOR",
    "INTEXPY",
    "RBCT1CER",
    "RBCRWAJ",
    "RBC1AAJ",
]
INSTITUTIONS = ["CERT", "NAME", "CITY", "STALP", "BKCLASS", "ESTYMD", "ENDEFYMD", "ACTIVE", "ASSET", "DEP"]

PAGE = 1_000
ATTEMPTS = 5
LONGEST_WAIT = 60.0
RETRIED = (429, 500, 502, 503, 504)

Row = dict[str, Any]


class BankFind:
    """The API at `url`. `key` is an api.data.gov key, which the FDIC may ask for; it is never shown in messages.

    A request that fails in a way that passes (no answer, 429, 5xx) is repeated, with waits of 1, 2, 4 … seconds,
    or as long as the server asks. `sleep` is an argument for tests. Raises ServiceError.
    """

    def __init__(
        self,
        client: httpx.Client,
        url: str = URL,
        key: str = "",
        page: int = PAGE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._key = key
        self._page = page
        self._sleep = sleep

    def rows(self, endpoint: str, cert: int, fields: Sequence[str]) -> Iterator[Row]:
        """Yield what the API has of one certificate at an endpoint, "financials" or "institutions"."""
        offset = 0
        while True:
            parameters = {
                "filters": f"CERT:{cert}",
                "fields": ",".join(fields),
                "limit": str(self._page),
                "offset": str(offset),
                "format": "json",
            }
            answer = self._get(endpoint, parameters)
            try:
                total = int(answer["meta"]["total"])
                rows = [entry["data"] for entry in answer["data"]]
            except (KeyError, TypeError, ValueError):
                raise self._error(endpoint, f"answered in another shape than is documented: {_said(answer)}") from None
            yield from rows
            offset += len(rows)
            if not rows or offset >= total:
                return

    def _get(self, endpoint: str, parameters: dict[str, str]) -> Any:
        import httpx

        if self._key:
            parameters = {**parameters, "api_key": self._key}
        for attempt in range(ATTEMPTS):
            wait = float(2**attempt)
            try:
                answer = self._client.get(f"{self._url}/{endpoint}", params=parameters)
            except httpx.HTTPError as err:
                problem = str(err) or type(err).__name__
            else:
                if answer.status_code == 200:
                    return self._json(endpoint, answer)
                problem = f"answered {answer.status_code}: {_said(answer.text)}"
                if answer.status_code not in RETRIED:
                    raise self._error(endpoint, problem)
                wait = _asked_wait(answer.headers.get("retry-after", ""), wait)
            if attempt < ATTEMPTS - 1:
                self._sleep(min(wait, LONGEST_WAIT))
        raise self._error(endpoint, f"{problem} ({ATTEMPTS} attempts)")

    def _json(self, endpoint: str, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise self._error(endpoint, f"did not answer with JSON: {_said(answer.text)}") from None

    def _error(self, endpoint: str, problem: str) -> ServiceError:
        return ServiceError(f"the FDIC's API at {self._url}/{endpoint} {problem}")


def _asked_wait(header: str, wait: float) -> float:
    return max(wait, float(header)) if header.isascii() and header.isdigit() else wait


def _said(answer: object) -> str:
    text = " ".join(str(answer).split())
    return text if len(text) <= 200 else text[:200] + "…"


def between(rows: Iterator[Row], first: str, last: str) -> Iterator[Row]:
    """Yield the financials whose REPDTE is from `first` to `last`, both YYYYMMDD; empty means no bound."""
    for row in rows:
        day = str(row.get("REPDTE", ""))
        if (not first or day >= first) and (not last or day <= last):
            yield row


def missing_field(rows: Sequence[Row], fields: Sequence[str]) -> str:
    """Return what is wrong where a field that was asked for is in no answer at all; empty if there is none.

    The API leaves out what it does not know, without a word.
    """
    there = set[str]().union(*(row.keys() for row in rows)) if rows else set(fields)
    absent = [name for name in fields if name not in there]
    if not absent:
        return ""
    guess = nearest(absent[0], there - set(fields))
    return f"does not tell {', '.join(absent)} any more{'; ' if guess else ''}{guess}"


def write_csv(path: Path, fields: Sequence[str], rows: Sequence[Row]) -> None:
    """Write the rows as CSV, all or nothing: an existing file is replaced only by a whole one. Raises InputError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(fields)
            writer.writerows([_cell(row.get(name)) for name in fields] for row in rows)
        draft.replace(path)
    except OSError as err:
        draft.unlink(missing_ok=True)
        raise InputError(f"{path}: can't be written: {err.strerror}") from None


def _cell(value: Any) -> Any:
    return "" if value is None else value
