"""The manifest: unchanged by writing and reading, and refused where it is not consistent."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers.shard_plan_fixture import one_each, plans, small_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.distributed.manifest import (
    manifest_bytes,
    parse_manifest,
    read_manifest,
    shard_plan,
    write_manifest,
)
from matrix.errors import StorageError, UnreadableInputError
from matrix.model.plan import Plan
from matrix.system.paths import data_dir

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((data_dir() / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))
)


def data_of(plan: Plan) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(manifest_bytes(one_each(plan)))
    return data


def refusal(content: bytes) -> str:
    with pytest.raises(UnreadableInputError) as caught:
        parse_manifest(content, "it.json")
    assert "it.json" in caught.value.message
    assert "plan --github" in caught.value.hint
    return caught.value.message


@settings(max_examples=25)
@given(plans())
def test_reading_returns_what_was_written(plan: Plan) -> None:
    manifest = one_each(plan)
    content = manifest_bytes(manifest)
    parsed = parse_manifest(content, "it.json")
    assert dataclasses.replace(parsed, id="") == manifest
    assert parsed.id == hashlib.sha256(content).hexdigest()
    assert manifest_bytes(parsed) == content


@settings(max_examples=15)
@given(plans())
def test_the_file_matches_its_schema(plan: Plan) -> None:
    SCHEMA.validate(data_of(plan))


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)


def test_the_file_is_complete_and_has_its_id(tmp_path: Path) -> None:
    manifest = one_each(small_plan())
    path = tmp_path / "new" / "manifest.json"
    written = write_manifest(path, manifest)
    assert read_manifest(path) == written
    assert written.id == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [entry.name for entry in path.parent.iterdir()] == ["manifest.json"]
    # The indentation does not matter.
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=3), encoding="utf-8")
    assert read_manifest(path) == written


def test_the_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_manifest(tmp_path / "manifest.json", one_each(small_plan()))
    modes = {stat.filemode(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1, "machines of several users share folders"


def test_another_plan_has_another_id(tmp_path: Path) -> None:
    one = write_manifest(tmp_path / "1", one_each(small_plan()))
    two = write_manifest(tmp_path / "2", one_each(small_plan(profile="exhaustive")))
    assert one.id != two.id


def test_an_impossible_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "manifest.json", tmp_path, Path()):
        with pytest.raises(StorageError, match="cannot write"):
            write_manifest(path, one_each(small_plan()))


def test_a_missing_file_is_reported_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"there is no file .*nothing\.json") as caught:
        read_manifest(tmp_path / "nothing.json")
    assert "plan --github" in caught.value.hint


def _cell_less(data: dict[str, Any]) -> None:
    del data["shards"][0]["cells"][0]


def _cell_twice(data: dict[str, Any]) -> None:
    data["shards"].append({**data["shards"][0], "name": "linux_x86_64-2"})


def _cell_of_nobody(data: dict[str, Any]) -> None:
    data["shards"][0]["cells"][0] = "cp39-linux_x86_64-flask9.9-ddtrace1.0.0"


def _torn(data: dict[str, Any]) -> None:
    shard = data["shards"][0]
    other = {**shard, "name": "linux_x86_64-2", "cells": shard["cells"][1:], "reserve": []}
    shard["cells"] = shard["cells"][:1]
    data["shards"].append(other)


def _other_target(data: dict[str, Any]) -> None:
    data["shards"][0]["target"] = "win32"


def _out_of_order(data: dict[str, Any]) -> None:
    data["shards"][0]["cells"].reverse()


def _name_that_leads_away(data: dict[str, Any]) -> None:
    data["shards"][0]["name"] = "../linux_x86_64-1"


def _other_engine(data: dict[str, Any]) -> None:
    data["shards"][0]["engine"] = "podman"


def _many_shards(data: dict[str, Any]) -> None:
    empty = {**data["shards"][0], "cells": [], "reserve": []}
    data["shards"] += [{**empty, "name": f"linux_x86_64-{n}"} for n in range(2, 300)]


def _claim_of_nobody(data: dict[str, Any]) -> None:
    data["plan"]["left_out"][0]["claim"] = "other.md/claim"


def _cell_unplanned(data: dict[str, Any]) -> None:
    data["plan"]["parts"][0]["rungs"] = ["cp39-linux_x86_64-flask9.9-ddtrace1.0.0"]


def _claim_twice(data: dict[str, Any]) -> None:
    data["plan"]["claims"].append(data["plan"]["claims"][0])


def _more(data: dict[str, Any]) -> None:
    data["plan"]["cells"][0]["secret"] = 1


def _no_project(data: dict[str, Any]) -> None:
    data["project"] = "HEAD"


def _endless(data: dict[str, Any]) -> None:
    data["shards"][0]["seconds"] = float("nan")


def _never(data: dict[str, Any]) -> None:
    data["plan"]["cells"][0]["repeats"] = 0


def _nowhere_in_time(data: dict[str, Any]) -> None:
    data["plan"]["snapshot"] = "2026-01-01T00:00:00"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_cell_less, "in no shards"),
        (_cell_twice, "in 2 shards"),
        (_cell_of_nobody, "is not a cell of the plan"),
        (_torn, "is compared with"),
        (_other_target, "is not for win32"),
        (_out_of_order, "order of a shard"),
        (_name_that_leads_away, "invalid shard name"),
        (_other_engine, "'podman'"),
        (_many_shards, "at most 256"),
        (_claim_of_nobody, "unknown claim other.md/claim"),
        (_cell_unplanned, "a part needs"),
        (_claim_twice, "occurs 2 times"),
        (_more, "'secret'"),
        (_no_project, "'HEAD'"),
        (_endless, "NaN is not a number of JSON"),
        (_never, "runs 0 times"),
        (_nowhere_in_time, "no time zone"),
    ],
)
def test_inconsistent_manifests_are_refused(
    spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    data = data_of(small_plan())
    parse_manifest(json.dumps(data).encode(), "it.json")
    spoil(data)
    assert message in refusal(json.dumps(data).encode())


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b"{}", b'{"schema": "plan/1"}', b"[" * 100_000, b"null"]
)
def test_other_files_are_refused(content: bytes) -> None:
    refusal(content)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@settings(max_examples=60)
@given(st.data())
def test_any_value_anywhere_is_refused_or_read_without_a_traceback(draw: st.DataObject) -> None:
    data = data_of(small_plan(profile="smoke"))
    node: Any = data
    while True:
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw.draw(st.sampled_from(keys))
        inner = node[key]
        if not isinstance(inner, (dict, list)) or not inner or draw.draw(st.booleans()):
            break
        node = inner
    node[key] = draw.draw(anything)
    try:
        parsed = parse_manifest(json.dumps(data).encode(), "it.json")
    except UnreadableInputError as error:
        assert "it.json" in error.message  # noqa: PT017 - either is right
    else:
        assert parse_manifest(manifest_bytes(parsed), "again") == parsed


def test_the_part_of_a_shard_is_all_that_its_cells_are_compared_with() -> None:
    plan = small_plan()
    whole = shard_plan(plan, one_each(plan).shards[0])
    assert (whole.cells, whole.fallbacks, whole.parts) == (plan.cells, plan.fallbacks, plan.parts)
