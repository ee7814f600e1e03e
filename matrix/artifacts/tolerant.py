"""Imports of Python files that today's grammar does not take: Python 2, or a newer one than ours.

Statements that start a line are looked at, and nothing is known of what guards them but their
indentation: what stands at column 0 runs when the module is imported, all else perhaps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["Statement", "statements"]

Statement = tuple[int, bool, str]

_STRING = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>[rRbBuUfFtT]{0,3}(?:
            \"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?'''
          | \"(?:\\.|[^\\\"\n])*\" | '(?:\\.|[^\\'\n])*' ))""",
    re.VERBOSE | re.DOTALL,
)
_IMPORT = re.compile(
    r"""^(?P<indent>[ \t]*)(?:(?:try|else|finally)[ \t]*:[ \t]*)?
        (?P<text> from[ \t]+[.\w]+[ \t]+import[ \t]*(?:\([^)]*\)|[^\n;]+)
                | import[ \t]+[^\n;]+ )""",
    re.VERBOSE | re.MULTILINE,
)


def statements(source: str) -> Iterator[Statement]:
    """Yield line (1-based), whether it stands at column 0, and the text, for each import."""
    text = _STRING.sub(_blank, source.replace("\r\n", "\n"))
    text = re.sub(r"\\\n", "  ", text) if "\\\n" in text else text
    for match in _IMPORT.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        plain = " ".join(match["text"].replace("(", " ").replace(")", " ").split())
        alone = match.group(0).lstrip().startswith(("from", "import"))
        yield line, not match["indent"] and alone, plain.rstrip(",")


def _blank(match: re.Match[str]) -> str:
    # The lines stay where they are.
    return ("" if match["comment"] else "0") + "\n" * match.group(0).count("\n")
