"""The whole way on real input: documents to verdicts, with real interpreters and real releases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from matrix.interpreters.discovery import find_interpreters
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.cells,
    pytest.mark.index,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="the smoke cells are those of Linux"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = {"2.7", "3.11"} - {found.python for found in find_interpreters()}
    if missing:
        pytest.skip(f"no CPython {', '.join(sorted(missing))} here")
    return tmp_path_factory.mktemp("results")


def verify(results: Path, *arguments: str) -> dict[str, Any]:
    """Run the smoke profile as a user would, and return its verdicts."""
    target = results / "verdicts.json"
    command = (sys.executable, "-m", "matrix", "verify", "--profile", "smoke", *arguments)
    done = subprocess.run(
        (*command, "--json", str(target)),
        cwd=project_root(),
        env={**os.environ, "COMPAT_MATRIX_RESULTS": str(results)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    record: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return record


def test_from_documents_to_verdicts_and_again_from_what_was_kept(results: Path) -> None:
    first = verify(results)
    claims = {claim["id"]: claim for claim in first["claims"]}
    verdicts = {verdict["claim"]: verdict for verdict in first["verdicts"]}
    assert claims.keys() == verdicts.keys()
    observed = {cell["id"] for cell in first["cells"] if cell["outcome"] == "observed"}
    assert observed == {cell["id"] for cell in first["cells"]}
    for verdict in verdicts.values():
        if verdict["outcome"] != "unverified":
            assert set(verdict["cells"]) <= observed
        else:
            assert verdict["reason"]
    answered = {
        claims[id_]["subject"]
        for id_, verdict in verdicts.items()
        if verdict["outcome"] != "unverified"
    }
    assert "request-tags" in answered

    again = verify(results)
    assert all(cell["reused"] for cell in again["cells"])
    assert again["verdicts"] == first["verdicts"]
    assert verify(results, "--rejudge")["verdicts"] == first["verdicts"]
