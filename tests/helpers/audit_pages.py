"""A valid page for tests of the audit, and functions to change it."""

from __future__ import annotations

from pathlib import Path

from matrix.documents.document import read_documents
from matrix.model.claim import Claim

PAGE = """\
---
title: Requirements for Python
code_lang: python
---
## Application Security capabilities support

| Application Security capability | Minimum Python tracer version |
| --- | --- |
| Threat Detection | 1.9.0 |
| Threat Protection | 1.10.0 |
| Code Security | Preview |

### Supported deployment types

| Type | Threat Detection support | Software Composition Analysis |
| --- | --- | --- |
| Docker | {{< X >}} | {{< X >}} |
| AWS Lambda | {{< X >}} | |

## Language and framework compatibility

### Supported Python versions

| Release | Support level |
| --- | --- |
| `<1` | Maintenance |
| `>=1.0,<2` | General Availability |

| OS | CPU | Runtime | Runtime version | Support ddtrace versions |
| --- | --- | --- | --- | --- |
| Linux | x86-64 | CPython | 3.8-3.10 | `<2` |
| Windows | 64bit | CPython | 3.8-3.10 | `<2` |

### Supported frameworks

| Framework | Versions | Threat Detection supported? | Threat Protection supported? |
| --- | --- | --- | --- |
| Django | 1.8 | {{< X >}} | {{< X >}} |
| Flask | 0.10 | {{< X >}} | {{< X >}} |

Support for query strings is not available for Flask.
"""


def line_of(text: str, beginning: str) -> int:
    """Return the number (1-based) of the first line that begins with `beginning`."""
    lines = text.splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(beginning))


def changed(*changes: tuple[str, str]) -> str:
    """Return the page with each of the old texts, which must exist, replaced."""
    text = PAGE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def claims_of(folder: Path, **pages: str) -> tuple[Claim, ...]:
    """Return the claims of pages by name; the pages must have no problems."""
    paths = []
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return read_documents(paths).claims
