"""POSIX only: time whole runs: cold caches, warm caches, and a second run with nothing changed.

    python tests/benchmarks/whole_runs.py                     # plan and the smoke profile
    python tests/benchmarks/whole_runs.py smoke documented    # both profiles
    python tests/benchmarks/whole_runs.py --keep-cache DIR smoke

This is a benchmark, not a test. Quote the ratios of one call; single times vary with the machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if sys.platform == "win32":
    raise ImportError("POSIX only: it asks getrusage(2)")

import resource

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclasses.dataclass(frozen=True)
class Timing:
    """One process with all its children: seconds on the clock, and of CPU."""

    wall: float
    cpu: float
    first_verdict: float | None
    code: int


def timed(folder: Path, *arguments: str) -> Timing:
    """Run `python -m matrix` with its caches and results under `folder`."""
    environment = {
        **os.environ,
        "COMPAT_MATRIX_CACHE": str(folder / "cache"),
        "COMPAT_MATRIX_RESULTS": str(folder / "results"),
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    first = None
    command = (sys.executable, "-m", "matrix", *arguments)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            # A verdict that rests on cells: those that nothing covers are known at once.
            if first is None and ("confirmed" in line or "refuted" in line):
                first = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timing(time.monotonic() - start, cpu, first, process.returncode)


def main() -> None:
    """Measure, and print a table as it fills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("profiles", nargs="*", default=["smoke"])
    parser.add_argument("--keep-cache", type=Path, help="use (and keep) this folder, warm or not")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep_cache or Path(scratch)
        print(f"{'run':34} {'wall s':>8} {'CPU s':>8} {'first verdict s':>16} {'exit':>5}")
        runs: list[tuple[str, tuple[str, ...]]] = [
            ("plan, cold", ("plan",)),
            ("plan, warm", ("plan",)),
        ]
        for profile in args.profiles:
            command = ("verify", "--profile", profile)
            runs += [
                (f"{profile}, cold cache", command),
                (f"{profile}, warm cache, --fresh", (*command, "--fresh")),
                (f"{profile}, nothing changed", command),
            ]
        for name, arguments in runs:
            timing = timed(folder, *arguments)
            first = f"{timing.first_verdict:.1f}" if timing.first_verdict is not None else "-"
            print(
                f"{name:34} {timing.wall:8.1f} {timing.cpu:8.1f} {first:>16} {timing.code:5}",
                flush=True,
            )


if __name__ == "__main__":
    main()
