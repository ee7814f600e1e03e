"""Tests with real wheels: their known problems are found by fetching a few bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.features.audit.wheel_libraries import required_library_globs
from matrix.features.audit.wheels import WheelChecker
from matrix.pypi.client import CachedIndex
from matrix.pypi.inspect import WheelCache
from matrix.pypi.remote_file import HttpTransport
from matrix.pypi.wheel_batches import inspect_wheels


@pytest.mark.index
def test_an_i686_wheel_of_the_last_1_x_release(tmp_path: Path) -> None:
    index = CachedIndex(tmp_path)
    project = index.project("ddtrace")
    release = next(item for item in project.releases if item.version == "1.20.19")
    files = [
        file for file in release.files if file.tags.startswith("cp39-cp39-manylinux_2_17_i686")
    ]
    transport = HttpTransport()
    try:
        gathered = inspect_wheels(
            files, WheelCache(tmp_path), transport, whole=required_library_globs()
        )
    finally:
        transport.close()
    judge = WheelChecker(project, index)
    judge.add(gathered)
    found = {(finding.kind.value, finding.subject) for finding in judge.result().findings}
    assert ("library-missing", "capability/threat-detection") in found
    assert ("module-missing-later", "module/ddtrace.appsec._iast") in found
    dylib = "library/ddtrace/appsec/_ddwaf/libddwaf/arm64/lib/libddwaf.dylib"
    assert ("library-foreign", dylib) in found
    assert ("library-missing", "capability/iast") not in found
    assert not any(kind == "requirement-unmet" for kind, _ in found)
    assert 0 < gathered.fetched < 4 << 20
