"""The tracer's own registry of integrations, in its three published forms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.claim_lines import claim_line

from matrix.documents.document import ReadDocument, read_document
from matrix.errors import UnreadableInputError

ENTRIES = [
    {
        "dependency": "aiobotocore",
        "integration": "aiobotocore",
        "auto-instrumented": False,
        "python_versions": {
            "3.9": {
                "minimum_package_version": "1.0.7",
                "maximum_package_version": "3.5.0",
                "tested_versions": ["1.0.7", "2.0.1", "3.5.0"],
            },
            "3.10": {
                "minimum_package_version": "1.0.7",
                "maximum_package_version": "3.9.0",
                "tested_versions": ["1.0.7", "3.9.0"],
            },
        },
    },
    {
        "dependency": "grpcio",
        "integration": "grpc",
        "auto-instrumented": True,
        "python_versions": {
            "3.9": {
                "minimum_package_version": "1.34.1",
                "maximum_package_version": "1.75.1",
                "tested_versions": ["1.34.1", "1.75.1"],
            }
        },
    },
]
TABLE = """\
dependency,integration,minimum_tracer_supported,max_tracer_supported,auto-instrumented
aiobotocore,aiobotocore,1.0.7,3.1.0,False

aiopg,aiopg *,0.16.0,1.4.0,True
"""
YAML = """\
---
# The vendor's list.
integrations:
- integration_name: aiohttp_jinja2
  is_external_package: true
  is_tested: true
  dependency_names:
  - aiohttp-jinja2
  - aiohttp_jinja2
  tested_versions_by_dependency:
    aiohttp-jinja2:
      min: 1.10
      max: '1.20'

- integration_name: aioredis
  is_external_package: true
  is_tested: false
  dependency_names: [aioredis]

- integration_name: asyncio
  is_external_package: false
  is_tested: true
"""


def read(folder: Path, text: str) -> ReadDocument:
    # The name says nothing: the shape of the file tells what it is.
    (folder / "promises.txt").write_text(text, encoding="utf-8")
    return read_document(folder / "promises.txt")


def test_each_cpython_of_an_entry_is_a_claim(tmp_path: Path) -> None:
    text = json.dumps(ENTRIES, indent=4)
    reading = read(tmp_path, text)
    assert reading.problems == ()
    scope = "integration=aiobotocore"
    assert [claim_line(claim) for claim in reading.claims] == [
        f"7 aiobotocore >=1.0.7,<=3.5.0 supported {scope} python===3.9.* automatic=no",
        f"16 aiobotocore >=1.0.7,<=3.9.0 supported {scope} python===3.10.* automatic=no",
        "31 grpcio >=1.34.1,<=1.75.1 supported integration=grpc python===3.9.* automatic=yes",
    ]
    lines = text.split("\n")
    assert all('"3.' in lines[claim.line - 1] for claim in reading.claims)
    assert [claim.id for claim in reading.claims][:2] == [
        "promises/integration/aiobotocore/aiobotocore/3.9",
        "promises/integration/aiobotocore/aiobotocore/3.10",
    ]


def test_tested_releases_are_kept_beside_the_claims(tmp_path: Path) -> None:
    text = json.dumps(ENTRIES, indent=4)
    reading = read(tmp_path, text)
    assert [item.claim for item in reading.tested] == [claim.id for claim in reading.claims]
    first = reading.tested[0]
    assert (first.dependency, first.python, first.automatic) == ("aiobotocore", "3.9", False)
    assert first.versions == ("1.0.7", "2.0.1", "3.5.0")
    assert (first.minimum, first.maximum) == ("1.0.7", "3.5.0")
    lines = text.split("\n")
    for item in reading.tested:
        for version in item.versions:
            assert lines[item.line_of(version) - 1].strip(" ,") == f'"{version}"'
    # On one line, and in the other forms, a release has the place of its entry.
    for other in (json.dumps(ENTRIES), TABLE, YAML):
        for item in read(tmp_path, other).tested:
            assert all(item.line_of(version) == item.line for version in item.versions)


def test_the_table_has_one_range_for_all_cpythons(tmp_path: Path) -> None:
    reading = read(tmp_path, TABLE)
    assert [claim_line(claim) for claim in reading.claims] == [
        "2 aiobotocore >=1.0.7,<=3.1.0 supported integration=aiobotocore automatic=no",
        "4 aiopg >=0.16.0,<=1.4.0 supported integration=aiopg automatic=yes note=marked with *",
    ]
    assert [item.versions for item in reading.tested] == [("1.0.7", "3.1.0"), ("0.16.0", "1.4.0")]


def test_the_list_names_integrations_without_a_dependency_too(tmp_path: Path) -> None:
    reading = read(tmp_path, YAML)
    assert [claim_line(claim) for claim in reading.claims] == [
        "11 aiohttp-jinja2 >=1.10,<=1.20 supported integration=aiohttp_jinja2",
        "9 aiohttp-jinja2 supported integration=aiohttp_jinja2",
        "18 aioredis supported integration=aioredis note=not tested",
        "20 asyncio supported integration=asyncio",
    ]
    assert [item.dependency for item in reading.tested] == ["aiohttp-jinja2"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1.0.7"', '"soon"', "7: invalid version 'soon' of aiobotocore"),
        ('"minimum_package_version": "1.0.7"', '"minimum": "1.0.7"', "with one end only"),
        ('"3.5.0"', '"1.0.1"', "the range of aiobotocore is reversed: 1.0.7 to 1.0.1"),
        ('"dependency": "aiobotocore"', '"dependency": ""', ""),
        ('"integration": "aiobotocore"', '"integration": null', "no name in the entry"),
        ('"3.9": {', '"newest": {', "7: no range of versions for CPython 'newest'"),
    ],
)
def test_an_entry_that_is_not_understood_is_a_problem(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    reading = read(tmp_path, json.dumps(ENTRIES, indent=4).replace(old, new))
    assert len(reading.claims) + len(reading.problems) == 3
    assert any(message in str(problem) for problem in reading.problems) or not message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(ENTRIES, indent=4)[:-9], "damaged JSON"),
        (json.dumps(ENTRIES).replace('"3.10"', '"3.9"'), "'3.9' is there twice"),
        (YAML.replace("[aioredis]", "[aioredis"), "damaged YAML"),
        ('{"name": "other"}', "is JSON"),
        ("name,version\nredis,1\nflask,2\n", "is CSV"),
    ],
)
def test_a_damaged_or_other_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UnreadableInputError, match=message):
        read(tmp_path, text)
