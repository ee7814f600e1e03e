"""Real cells have the same verdicts in three processes at once and in one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.interpreters.discovery import find_interpreters
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.cells,
    pytest.mark.index,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="the claims are about Linux"),
]

_CPYTHONS = 3


def test_three_shards_have_the_verdicts_of_one_run(tmp_path: Path) -> None:
    if len(find_interpreters()) < _CPYTHONS:
        pytest.skip("too few CPythons here for three shards")
    selection = ("--framework", "requests")
    script = project_root() / "tests" / "benchmarks" / "shards.py"
    done = subprocess.run(
        (sys.executable, str(script), "--folder", str(tmp_path), *selection),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shards = tmp_path / "shared" / "shards"
    assert len(list(shards.glob("*/*/shard.json"))) == 3
    both = [
        json.loads((tmp_path / name).read_text(encoding="utf-8"))
        for name in ("whole.json", "collected.json")
    ]
    whole, collected = (
        {verdict["claim"]: verdict["outcome"] for verdict in data["verdicts"]} for data in both
    )
    assert whole == collected
    assert "confirmed" in whole.values(), "cells really ran"
    assert {cell["id"] for cell in both[0]["cells"]} == {cell["id"] for cell in both[1]["cells"]}
