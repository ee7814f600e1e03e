"""Text of releases, documents, indexes and records, made visible and powerless before it is shown.

A terminal obeys control characters, a reader is misled by characters of direction or without width,
and a CI service obeys lines of a job's output: `::` at a line's start and `##[` anywhere.
https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from matrix.model.cell import Cell

# C0, DEL and C1 but tab and newline; characters of direction, without width, that end lines, of
# annotations, tags, and halves of pairs.
_HIDDEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e007f]"
)
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
# GitHub's older form, Azure's and TeamCity's, which need no start of a line.
_OLD_COMMAND = re.compile(r"##(?=\w*\[)")
_BYTE, _TWO_BYTES = 0xFF, 0xFFFF
MOST_TEXT = 4000
"""The most characters of one text of a record in a report; the record has all of it."""

T = TypeVar("T")


def visible(text: str) -> str:
    r"""Return the text with escapes such as `\x1b` for all that is not seen, but tab and newline.

    A carriage return before a newline is left out.
    """
    return _HIDDEN.sub(_escape, text.replace("\r\n", "\n"))


def powerless(text: str) -> str:
    r"""Return lines of which none is a command to a CI service: `::` is `\x3a:`, `##[` is `#\x23[`.

    The text begins at the start of a line.
    """
    return _OLD_COMMAND.sub(r"#\\x23", _COMMAND.sub(r"\1\\x3a", text))


def harmless(text: str) -> str:
    """Return lines that are both visible and powerless."""
    return powerless(visible(text))


def powerless_markup(text: str) -> str:
    """Return XML or HTML of the same text, with character references in what may be a command."""
    return _OLD_COMMAND.sub("#&#35;", _COMMAND.sub(r"\1&#58;", text))


def visible_json(text: str) -> str:
    r"""Return JSON of the same values, with all that is not seen, and `##[`, as `\u` escapes."""
    escaped = _HIDDEN.sub(_escape_in_json, text)
    return _OLD_COMMAND.sub(r"#\\u0023", escaped)


def shown(value: T, most: int = MOST_TEXT) -> T:
    """Return the value with all texts in it visible, and of at most `most` characters each.

    Dataclasses, tuples, lists and mappings are looked through; what has no such text is returned
    as it is. Ids of cells are checked where they are read, and stay.
    """
    return _shown(value, most)  # type: ignore[no-any-return]


def _shown(value: Any, most: int) -> Any:  # noqa: ANN401 - any value of a record
    if isinstance(value, str):
        if isinstance(value, enum.Enum):
            return value
        text = visible(value[: most + 1])
        return text if len(text) <= most else f"{text[: most - 1]}…"
    if isinstance(value, (tuple, list)):
        items = [_shown(item, most) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if isinstance(value, Mapping):
        return {_shown(key, most): _shown(item, most) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Cell)):
        changed = {}
        for field in dataclasses.fields(value):
            old = getattr(value, field.name)
            if (new := _shown(old, most)) is not old:
                changed[field.name] = new
        return dataclasses.replace(value, **changed) if changed else value
    return value


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= _BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _TWO_BYTES else f"\\U{code:08x}"


def _escape_in_json(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code <= _TWO_BYTES:
        return f"\\u{code:04x}"
    above = code - 0x10000
    return f"\\u{0xD800 + (above >> 10):04x}\\u{0xDC00 + (above & 0x3FF):04x}"
