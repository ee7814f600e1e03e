"""JSON that every reader must understand alike: what is ambiguous is refused.

RFC 8259 leaves to readers what they do with a name that occurs twice, with a byte order mark and
with a number that no float can hold: https://www.rfc-editor.org/rfc/rfc8259#section-4.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any


def parse_strict(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON document in UTF-8; raise ValueError for any other.

    Names that occur twice in an object, NaN, infinite and overflowing numbers, a byte order mark
    and nesting that is too deep for a parser are refused, too.
    """
    text = content.decode("utf-8")
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def canonical_json(data: object) -> bytes:
    """Return the only accepted serialization: sorted names, no white space, ASCII.

    Raises ValueError for what JSON cannot express.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def parse_canonical(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of canonical JSON; raise ValueError for any other bytes."""
    data = parse_strict(content)
    if canonical_json(data) != content:
        raise ValueError("it is not canonical JSON")
    return data


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} occurs twice in an object")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:80]} is too large")
    return number


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")
