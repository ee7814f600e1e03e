"""A program for a process of its own: import everything again where POSIX's own names are missing.

Prints what went wrong, as JSON. It is no Windows: paths, files and sockets stay as they are. What
others' libraries need at their own import they have got before.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from helpers.posix_uses import Names, only_on

ROOT = Path(__file__).resolve().parents[2]
# Programs beside each other, and what is installed with an extra only.
ELSEWHERE = ("matrix/services/stubs/", "matrix/distributed/dask/")
APPS = ("children", "dbapi", "lifecycle", "loops", "serve", "carrier")


def modules() -> dict[str, str]:
    """Return the modules of ours, with the systems they say they are only for."""
    found = {}
    for path in sorted((ROOT / "matrix").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(ELSEWHERE) and path.name not in {"__init__.py", "__main__.py"}:
            said = only_on(path.read_text(encoding="utf-8"))
            found[name.removesuffix(".py").replace("/", ".")] = said
    return found


def tried(names: dict[str, str]) -> dict[str, str]:
    """Import all; return the error of each that cannot be imported."""
    errors = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001, PERF203 - whatever it is, it is told
            errors[name] = f"{type(error).__name__}: {error}"
    return errors


def be_windows() -> None:
    """Take away what Windows does not have, and call this process so."""
    names = Names.load()
    for module, missing in names.names.items():
        there: Any = importlib.import_module(module)
        for name in missing & set(dir(there)):
            delattr(there, name)
    for module in names.modules:
        sys.modules[module] = None  # type: ignore[assignment]
    # What it has instead is imported, never used.
    pipes: Any = importlib.import_module("multiprocessing.connection")
    pipes.PipeConnection = pipes.Connection
    sys.platform = "win32"


def main() -> None:
    """Import all as it is, and then again."""
    sys.path[:0] = [
        str(ROOT),
        str(ROOT / "tests"),
        str(ROOT / "apps"),
        str(ROOT / "fixtures" / "cell"),
    ]
    wanted = modules()
    here = {name: said for name, said in wanted.items() if said != "Windows"}
    before = tried({**here, **dict.fromkeys((*APPS, "identity"), "")})
    for name in [*sys.modules]:
        if name.split(".")[0] in {"matrix", "identity", *APPS}:
            del sys.modules[name]
    be_windows()
    there = {name: said for name, said in wanted.items() if said != "Windows"}
    after = tried({**there, **dict.fromkeys((*APPS, "identity"), "")})
    sys.stdout.write(json.dumps({"wanted": wanted, "before": before, "after": after}))


if __name__ == "__main__":
    main()
