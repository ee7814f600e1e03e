"""The metadata of a release as a document: its Pythons and its extras."""

from __future__ import annotations

from pathlib import Path

from helpers.claim_lines import claim_line

from matrix.documents.document import read_document

METADATA = """\
Metadata-Version: 2.4
Name: ddtrace
Version: 4.16.0
Classifier: Programming Language :: Python
Classifier: Programming Language :: Python :: 3 :: Only
Classifier: Programming Language :: Python :: 3.14
Requires-Python: <3.15, >=3.9
Requires-Dist: wrapt!=2.2.0,<3,>=1
Provides-Extra: opentracing
Requires-Dist: opentracing<3,>=2; extra == "opentracing"

Classifier: Programming Language :: Python :: 2.7
"""


def test_pythons_and_extras_are_claims(tmp_path: Path) -> None:
    (tmp_path / "METADATA").write_text(METADATA, encoding="utf-8")
    reading = read_document(tmp_path / "METADATA")
    assert [claim_line(claim) for claim in reading.claims] == [
        "6 cpython ==4.16.0 supported python===3.14.*",
        "7 cpython ==4.16.0 supported python=<3.15,>=3.9",
        "9 extra ==4.16.0 supported note=opentracing, opentracing<3,>=2",
    ]
    assert reading.problems == ()


def test_an_invalid_specifier_is_a_problem(tmp_path: Path) -> None:
    text = METADATA.replace("<3.15, >=3.9", "three")
    (tmp_path / "METADATA").write_text(text, encoding="utf-8")
    (problem,) = read_document(tmp_path / "METADATA").problems
    assert str(problem) == "METADATA:7:18: invalid specifier 'three'"
