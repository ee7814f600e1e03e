"""Mutated pages: whatever is changed, no row and no bullet is dropped without a word.

60 pages by default; COMPAT_MUTATIONS is another number (1,000 take some minutes).
"""

from __future__ import annotations

import os
import random
import re
import tempfile
from pathlib import Path

import pytest
from helpers.claim_lines import DOCUMENTS

from matrix.documents.document import ReadDocument, read_document
from matrix.errors import UnreadableInputError
from matrix.system.paths import project_root

COUNT = int(os.environ.get("COMPAT_MUTATIONS", "60"))
NEW_FORMS = """\
## App and API Protection capabilities support

| AAP capability | Java | .NET | Python | Go |
|---|---|---|---|---|
| Threat Detection | 1.8.0 | 2.23.0 | 1.9.0 | 1.47.0 |
| API Security | 1.31.0 | 2.42.0 | 2.6.0 | not supported |

### Web framework compatibility

- Django 2.0+
- Flask >= 0.12
- aiohttp (client) 2.0

### Supported libraries

- Redis 2.6 and later
- requests (>= 2.08)

## AWS Lambda

| Type | Threat Detection |
|---|---|
| Java | {{< X >}} |
| Python | {{< X >}} |

### Supported trigger types

- Function URL
- API Gateway v1 (Rest API)
"""
LATER = project_root().parent / "shared" / "documents" / "later"
PAGES = [NEW_FORMS, *(path.read_text(encoding="utf-8") for path in sorted(DOCUMENTS.glob("*.md"))
         if path.stem not in {"other-tracer", "markdoc", "partials"})]  # fmt: skip
PAGES += [path.read_text(encoding="utf-8") for path in sorted(LATER.glob("*.md"))]
WORDS = (
    "soon", "1.8", ">= 2", "yes", "no", "Django", "Threat Detection", "Docker", "Python", "Java",
    "<2", "2.7-3.11", "not supported", "deprecated", "(beta)", "[x][1]", "**", "`", "~~gone~~", "^",
    "\N{NO-BREAK SPACE}", "\N{EM DASH}", "{{< X >}}", "*", "[^1]", "<br>", "3.x", "==", "Linux",
)  # fmt: skip
RULE = re.compile(r"\s*\|?[\s:|-]*--[\s:|-]*")
COVERED = re.compile(r"lines (\d+)-(\d+)")
OTHERS = re.compile(r"[^\w.]*(?:java|\.net|node(?:\.js)?|ruby|php|go)\b", re.IGNORECASE)
CLAIM_HEADINGS = ("Web framework", "Supported libraries", "Supported trigger types")


def mutate(page: str, chance: random.Random) -> str:
    """Change up to three rows, bullets or lines of a page."""
    lines = page.split("\n")
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(len(lines))
        line, word = lines[number], chance.choice(WORDS)
        if line.startswith("|") and not RULE.fullmatch(line):
            cells = line.split("|")
            cell = chance.randrange(1, max(2, len(cells) - 1))
            change = chance.randrange(5)
            if change == 0:
                cells[cell] = f" {word} "
            elif change == 1:
                cells[cell] = f" {cells[cell].strip()} {word} "
            elif change == 2:
                del cells[cell]
            elif change == 3:
                cells.insert(cell, f" {word} ")
            else:
                cells[cell] = ""
            lines[number] = "|".join(cells)
        elif re.match(r"[-*] ", line):
            lines[number] = chance.choice((f"{line} {word}", f"- {word}", f"{line[:6]}{word}"))
        else:
            lines.insert(number, chance.choice(("", f"## {word}", f"| {word} | {word} |", word)))
    return "\n".join(lines)


def rows_and_bullets(page: str) -> dict[int, str]:
    """Return the lines with a row of a table, or with a bullet under a heading of claims."""
    lines = page.split("\n")
    found, heading, in_table = {}, "", False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("#"):
            heading = line.strip("# ")
        if RULE.fullmatch(line):
            in_table = number > 0 and "|" in lines[number - 1]
        elif not line.startswith("|"):
            in_table = False
        elif (
            in_table
            and not RULE.fullmatch(following)
            and line.replace("<br>", "").strip("| \t`*\N{NO-BREAK SPACE}")
        ):
            found[number + 1] = line
        if re.match(r"[-*] +[^\s*`]", line) and heading.startswith(CLAIM_HEADINGS):
            found[number + 1] = line
    return found


def reported(reading: ReadDocument) -> set[int]:
    """Return the lines of which something is said."""
    said = (*reading.problems, *reading.notices)
    lines = {claim.line for claim in reading.claims} | {item.line for item in said}
    for item in said:
        for first, last in COVERED.findall(item.message):
            lines.update(range(int(first), int(last) + 1))
    return lines


def is_of_another_tracer(row: str) -> bool:
    return bool(OTHERS.match(row))


@pytest.mark.parametrize("seed", range(COUNT))
def test_no_row_and_no_bullet_is_dropped(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same pages each time
    page = mutate(chance.choice(PAGES), chance)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.md"
        path.write_text(page, encoding="utf-8")
        try:
            reading = read_document(path)
        except UnreadableInputError:
            return  # refused as a whole, which is said
    skipped = any("skipped a section" in item.message for item in reading.notices)
    lost = {
        line: text
        for line, text in rows_and_bullets(page).items()
        if line not in reported(reading) and not is_of_another_tracer(text)
    }
    assert not lost or skipped, page
