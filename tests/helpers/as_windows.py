"""Script that imports every module a second time without the names that only POSIX has.

It prints the errors as JSON. This does not emulate Windows: paths, files and sockets stay as they
are, and third-party libraries are imported before the names are removed.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from helpers.posix_uses import Names, only_on

ROOT = Path(__file__).resolve().parents[2]
# Scripts that are not modules, and modules that need an extra.
SKIPPED = ("matrix/services/stubs/", "matrix/distributed/dask/")
APPS = ("children", "dbapi", "lifecycle", "loops", "serve", "carrier")


def modules() -> dict[str, str]:
    """Return our modules with the only system that their docstring names, or ""."""
    systems = {}
    for path in sorted((ROOT / "matrix").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(SKIPPED) and path.name not in {"__init__.py", "__main__.py"}:
            module = name.removesuffix(".py").replace("/", ".")
            systems[module] = only_on(path.read_text(encoding="utf-8"))
    return systems


def import_errors(names: Iterable[str]) -> dict[str, str]:
    """Import all modules; return the errors of those that fail."""
    errors = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001, PERF203 - all kinds are reported
            errors[name] = f"{type(error).__name__}: {error}"
    return errors


def simulate_windows() -> None:
    """Remove the names that Windows lacks, and set `sys.platform`."""
    names = Names.load()
    for module, missing in names.names.items():
        imported: Any = importlib.import_module(module)
        for name in missing & set(dir(imported)):
            delattr(imported, name)
    for module in names.modules:
        sys.modules[module] = None  # type: ignore[assignment]
    # The Windows counterpart is imported, never used.
    pipes: Any = importlib.import_module("multiprocessing.connection")
    pipes.PipeConnection = pipes.Connection
    sys.platform = "win32"


def main() -> None:
    """Import all modules as they are, and then again as on Windows."""
    sys.path[:0] = [
        str(ROOT),
        str(ROOT / "tests"),
        str(ROOT / "apps"),
        str(ROOT / "fixtures" / "cell"),
    ]
    # The second import needs no second compilation.
    SourceFileLoader.get_code = functools.cache(SourceFileLoader.get_code)  # type: ignore[method-assign]
    systems = modules()
    names = [name for name, system in systems.items() if system != "Windows"]
    names += [*APPS, "identity"]
    before = import_errors(names)
    for name in [*sys.modules]:
        if name.split(".")[0] in {"matrix", "identity", *APPS}:
            del sys.modules[name]
    simulate_windows()
    after = import_errors(names)
    sys.stdout.write(json.dumps({"systems": systems, "before": before, "after": after}))


if __name__ == "__main__":
    main()
