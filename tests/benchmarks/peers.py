"""Linux only: time the same 24 cells by nox, tox and riot, and by `verify`.

    pipx install 'nox[uv]'; pipx install tox --preinstall tox-uv
    pipx install riot --preinstall 'virtualenv<21'     # later ones make no environment of 3.8
    python tests/benchmarks/peers.py                   # every way, cold and warm, once
    python tests/benchmarks/peers.py --rounds 3 --way verify --way "nox -R"

Flask and Django on four CPythons, under three releases of the tracer, with its feature on and off
(peer_check.py; `verify` also captures, soaks and judges). Each tool is used as its documentation
advises: https://nox.thea.codes/en/stable/config.html, https://tox.wiki/en/latest/, with
https://github.com/tox-dev/tox-uv, and https://ddriot.readthedocs.io/en/latest/. CPU is the whole
machine's: leave it alone meanwhile. This is a benchmark, not a test.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

if sys.platform != "linux":
    raise ImportError("Linux only: it reads /proc/stat")

from engines import ROOT, busy_seconds

sys.path.insert(0, str(ROOT))
from matrix.interpreters.discovery import find_interpreters

PYTHONS = ("3.8", "3.9", "3.10", "3.11")
TRACERS = ("1.11.6", "1.12.0", "1.20.19")
FRAMEWORKS = {"flask": "2.2.3", "django": "4.1.7"}
# What the shop needs besides, and what Flask and the tracer do not bound.
ALSO = ("werkzeug<3", "cheroot", "requests", "inflection", "setuptools<81")
PAGE_NAME = "page.md"
CHECK = ROOT / "tests" / "benchmarks" / "peer_check.py"

PAGE = """\
---
title: Python compatibility
---
## Capabilities

| Capability | Minimum tracer version |
|---|---|
| Threat Detection | 1.12.0 |

### Supported Python versions

| Release | Support level |
|---|---|
| `>=1.0,<2` | Maintenance |

| OS | CPU | Runtime | Runtime version | Supported ddtrace versions |
|---|---|---|---|---|
| Linux | x86-64 | CPython | 3.8 - 3.11 | `>=1` |

### Supported frameworks

| Framework | Versions | Threat Detection supported? |
|---|---|---|
| Django | 4.1.7 | yes |
| Flask | 2.2.3 | yes |
"""
NOXFILE = """\
import nox
nox.options.default_venv_backend = "uv"
@nox.session(python={pythons!r})
@nox.parametrize("framework", {frameworks!r})
@nox.parametrize("tracer", {tracers!r})
def check(session, framework, tracer):
    session.install(framework, "ddtrace==" + tracer, *{also!r})
    session.run("python", {check!r}, framework.split("==")[0])
"""
TOXFILE = """\
[tox]
env_list = py{{{pys}}}-{{{names}}}-{{{tracers}}}
skipsdist = true
[testenv]
skip_install = true
pass_env = PEER_APPS
deps =
{deps}
commands =
{commands}
"""
RIOTFILE = """\
from riot import Venv
venv = Venv(
    pys={pythons!r},
    venvs=[
        Venv(
            name=name,
            command="python {check} " + name,
            pkgs={{name: "==" + version, "ddtrace": {pins!r}, **{also!r}}},
        )
        for name, version in {frameworks!r}.items()
    ],
)
"""


@dataclasses.dataclass(frozen=True)
class Way:
    """A command, and whether it is given what an earlier command of it has made."""

    command: Sequence[str]
    cold: bool = False

    @property
    def name(self) -> str:
        """The name of the tool."""
        return "verify" if self.command[0] == sys.executable else self.command[0]


def verify(*options: str) -> list[str]:
    """Return the command that verifies the same cells."""
    cells = [
        f"--cell=cp{python.replace('.', '')}-linux_x86_64-{name}{version}-ddtrace{tracer}"
        for python in PYTHONS
        for name, version in FRAMEWORKS.items()
        for tracer in TRACERS
    ]
    selection = ("--engine", "local", "--profile", "exhaustive", "--capability", "threat-detection")
    command = (sys.executable, "-m", "matrix", "verify", PAGE_NAME, "--lenient", "--timings")
    return [*command, *selection, *cells, *options]


WAYS = {
    "verify, cold": Way(verify(), cold=True),
    "nox, uv, cold": Way(["nox", "-j", "2"], cold=True),
    "tox, tox-uv, cold": Way(["tox", "run-parallel", "-p", "2", "-q"], cold=True),
    "riot, cold": Way(["riot", "run", "-s", "--pass-env"], cold=True),
    "verify --fresh": Way(verify("--fresh")),
    "nox -R": Way(["nox", "-R", "-j", "2"]),
    "tox": Way(["tox", "run-parallel", "-p", "2", "-q"]),
    "riot, warm": Way(["riot", "run", "-s", "--pass-env"]),
    "nox, uv, warm": Way(["nox", "-j", "2"]),
    "tox -r": Way(["tox", "run-parallel", "-p", "2", "-q", "-r"]),
    "verify, nothing changed": Way(verify()),
}


def write_files(folder: Path) -> None:
    """Write what each tool reads."""
    pinned = [f"{name}=={version}" for name, version in FRAMEWORKS.items()]
    values = {"pythons": list(PYTHONS), "tracers": list(TRACERS), "check": str(CHECK)}
    nox = NOXFILE.format(frameworks=pinned, also=ALSO, **values)
    (folder / "noxfile.py").write_text(nox)
    (folder / PAGE_NAME).write_text(PAGE)
    names = {tracer: f"dd{tracer.replace('.', '')}" for tracer in TRACERS}
    deps = [
        *(f"    {name}: {pin}" for name, pin in zip(FRAMEWORKS, pinned, strict=True)),
        *(f"    {name}: ddtrace=={tracer}" for tracer, name in names.items()),
        *(f"    {each}" for each in ALSO),
    ]
    tox = TOXFILE.format(
        pys=",".join(python.replace(".", "") for python in PYTHONS),
        names=",".join(FRAMEWORKS),
        tracers=",".join(names.values()),
        deps="\n".join(deps),
        commands="\n".join(f"    {name}: python {CHECK} {name}" for name in FRAMEWORKS),
    )
    (folder / "tox.ini").write_text(tox)
    bounds = {
        name: f"<{bound}" if bound else ""
        for name, _, bound in (each.partition("<") for each in ALSO)
    }
    riot = RIOTFILE.format(
        frameworks=FRAMEWORKS, pins=[f"=={each}" for each in TRACERS], also=bounds, **values
    )
    (folder / "riotfile.py").write_text(riot)


def variables(way: Way, folder: Path) -> Mapping[str, str]:
    """Return the variables of all tools: caches below the folder, and the CPythons."""
    pythons = {str(each.executable.parent): None for each in find_interpreters()}
    caches = folder / "caches"
    return {
        **os.environ,
        "PATH": os.pathsep.join([os.environ["PATH"], *pythons]),
        **({"PYTHONPATH": str(ROOT)} if way.name == "verify" else {}),
        "PEER_APPS": str(ROOT / "apps"),
        "UV_CACHE_DIR": str(caches / "uv"),
        "PIP_CACHE_DIR": str(caches / "pip"),
        "COMPAT_MATRIX_CACHE": str(caches / "verify"),
        "COMPAT_MATRIX_RESULTS": str(caches / "results"),
    }


def timed(way: Way, folder: Path) -> tuple[float, float, int]:
    """Run a way once; return seconds on the clock, CPU seconds and the exit code."""
    if way.cold:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_files(folder)
    wall, cpu = time.monotonic(), busy_seconds()
    with (folder / "output").open("wb") as output:
        code = subprocess.run(
            way.command,
            cwd=folder,
            env=variables(way, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    return time.monotonic() - wall, busy_seconds() - cpu, code


def main() -> None:
    """Measure, and print a table as it fills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--way", action="append", choices=list(WAYS), help="default: all")
    parser.add_argument("--rounds", type=int, default=1, help="of each; medians are printed")
    parser.add_argument("--keep", type=Path, help="use and keep this folder: what is warm stays so")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        top = args.keep or Path(scratch)
        print(f"{'24 cells by':26} {'wall s':>8} {'CPU s':>8}  exit codes")
        for name, way in WAYS.items():
            if args.way and name not in args.way:
                continue
            runs = [timed(way, top / way.name) for _ in range(args.rounds)]
            wall, cpu = (statistics.median(column) for column in list(zip(*runs, strict=True))[:2])
            codes = ", ".join(str(code) for *_, code in runs)
            print(f"{name:26} {wall:8.1f} {cpu:8.1f}  {codes}", flush=True)


if __name__ == "__main__":
    main()
