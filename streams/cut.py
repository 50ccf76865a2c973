"""What stands in a JSON text where its values were cut out, to be read by other means than the rest.

It is drawn anew in every process, so that a record can't hold it: the two readings together accept no record that is
not JSON as a whole.
"""

from __future__ import annotations

import secrets

TOKEN = f"values-{secrets.token_hex(16)}"
_MARK = b'"' + TOKEN.encode() + b'"'


def without(record: bytes, start: int, end: int) -> bytes:
    """Return the record with the token in place of its bytes from `start` to before `end`."""
    return record[:start] + _MARK + record[end:]
