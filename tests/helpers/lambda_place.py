"""The programs of the place `lambda-emulated`, as modules."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from matrix.system.paths import fixtures_dir

PROGRAMS = fixtures_dir() / "places" / "lambda_emulator"


def load_fixture(name: str) -> ModuleType:
    """Return a program of the place as a module, which is not run."""
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
