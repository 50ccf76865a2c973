"""Rows from JSON Lines: one object a line, whose keys are columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from rules.problems import short
from streams.limits import Limits, over
from streams.opening import read_lines
from streams.tables import Row, Table
from streams.twins import Twice, once

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]").search


def read_json_lines(path: Path, limits: Limits) -> Table:
    """Open a file of JSON Lines."""
    return Table(path, (), _rows(path, limits))


def _rows(path: Path, limits: Limits) -> Iterator[Row]:
    for number, line in read_lines(path, limits):
        row = json_row(number, line)
        if len(row.cells) > limits.columns:
            over(path, "columns", limits.columns)
        yield row


def json_row(number: int, line: bytes) -> Row:
    """Return a line's row; `problem` where it is no JSON object, or holds what no record can hold."""
    try:
        data = json.loads(line, object_pairs_hook=once)
        if _SURROGATE(line):
            json.dumps(data, ensure_ascii=False).encode()
    except Twice as err:
        return Row(number, problem=f"{short(err.name)} stands twice in one object", raw=line)
    except UnicodeEncodeError:
        return Row(number, problem="the line has half of a surrogate pair", raw=line)
    except UnicodeDecodeError as err:
        return Row(number, problem=f"byte {err.start} of the line is not UTF-8", raw=line)
    except RecursionError:
        return Row(number, problem="the line is nested too deeply", raw=line)
    except ValueError:
        return Row(number, problem="the line is not JSON", raw=line)
    if not isinstance(data, dict):
        return Row(number, problem="the line is not a JSON object", raw=line)
    return Row(number, data, raw=line)
