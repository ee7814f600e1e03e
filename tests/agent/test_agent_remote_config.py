"""Remote configuration: the checks that clients of all releases apply to a payload."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.agent.payloads import NO_CONFIGS, acknowledged_version
from matrix.model.probe import RemoteConfig

FEATURES = RemoteConfig("ASM_FEATURES", "asm", {"asm": {"enabled": True}})
RULES = RemoteConfig("ASM", "rules", {"custom_rules": []})


def poll(version: int) -> dict[str, Any]:
    return {"client": {"state": {"root_version": 1, "targets_version": version}}}


def targets_of(answer: dict[str, Any]) -> dict[str, Any]:
    signed: dict[str, Any] = json.loads(base64.b64decode(answer["targets"]))["signed"]
    return signed


def test_the_response_is_empty_before_the_first_version() -> None:
    assert NO_CONFIGS.answer(poll(0)) == {}
    assert NO_CONFIGS.answer(None) == {}


def test_the_response_to_a_current_client_is_empty() -> None:
    published = NO_CONFIGS.followed_by([FEATURES])
    assert published.answer(poll(published.version)) == {}
    assert published.answer(poll(0)) != {}


@pytest.mark.parametrize("body", [None, [], {"client": 1}, {"client": {"state": {}}}, "x"])
def test_a_client_without_a_state_has_version_0(body: object) -> None:
    assert acknowledged_version(body) == 0
    assert NO_CONFIGS.followed_by([FEATURES]).answer(body) != {}


def test_there_are_no_unknown_keys() -> None:
    answer = NO_CONFIGS.followed_by([FEATURES]).answer(poll(0))
    assert set(answer) == {"roots", "targets", "target_files", "client_configs"}
    assert set(targets_of(answer)) == {
        "_type", "custom", "expires", "spec_version", "targets", "version",
    }  # fmt: skip


def test_an_empty_set_withdraws_everything() -> None:
    published = NO_CONFIGS.followed_by([FEATURES, RULES])
    withdrawn = published.followed_by([]).answer(poll(published.version))
    assert withdrawn["client_configs"] == []
    assert withdrawn["target_files"] == []
    assert targets_of(withdrawn)["targets"] == {}
    assert targets_of(withdrawn)["version"] == published.version + 1


def test_only_a_file_whose_content_changed_gets_a_new_version() -> None:
    first = NO_CONFIGS.followed_by([FEATURES, RULES])
    changed = RemoteConfig("ASM", "rules", {"custom_rules": [{}]})
    targets = targets_of(first.followed_by([FEATURES, changed]).answer(None))["targets"]
    versions = {path.split("/")[2]: target["custom"]["v"] for path, target in targets.items()}
    assert versions == {"ASM_FEATURES": 1, "ASM": 2}


def test_a_file_that_was_withdrawn_returns_as_new() -> None:
    again = NO_CONFIGS.followed_by([FEATURES]).followed_by([]).followed_by([FEATURES])
    (target,) = targets_of(again.answer(None))["targets"].values()
    assert target["custom"]["v"] == 3


def test_two_files_of_one_path_are_an_error() -> None:
    with pytest.raises(ValueError, match="datadog/2/ASM/rules/config"):
        NO_CONFIGS.followed_by([RULES, RULES])


NAMES = st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)
CONFIGS = st.builds(
    RemoteConfig,
    product=st.sampled_from(["ASM", "ASM_DATA", "ASM_DD", "ASM_FEATURES"]),
    config_id=NAMES,
    content=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)
SETS = st.lists(CONFIGS, max_size=4, unique_by=lambda config: (config.product, config.config_id))


@settings(max_examples=40)
@given(st.lists(SETS, min_size=1, max_size=4))
def test_clients_can_verify_every_set(sets: list[list[RemoteConfig]]) -> None:
    published = NO_CONFIGS
    for configs in sets:
        published = published.followed_by(configs)
    answer = published.answer(poll(published.version - 1))
    signed = targets_of(answer)
    files = {file["path"]: base64.b64decode(file["raw"]) for file in answer["target_files"]}
    assert signed["version"] == len(sets)
    assert set(files) == set(signed["targets"]) == set(answer["client_configs"])
    assert [json.loads(raw) for raw in files.values()] == [config.content for config in sets[-1]]
    for path, target in signed["targets"].items():
        assert target["hashes"]["sha256"] == hashlib.sha256(files[path]).hexdigest()
        assert target["length"] == len(files[path])
        assert 1 <= target["custom"]["v"] <= signed["version"]
