"""Time the same cells on a Dask cluster of one and of more workers on this machine.

    python tests/benchmarks/workers.py                        # 1 and 2 workers, a cell at a time
    python tests/benchmarks/workers.py --workers 1 2 4 --jobs 2 --rounds 3
    python tests/benchmarks/workers.py --engine docker --select --framework 'flask*'

Environments are made before, so every timed run is warm and `--fresh`; seconds are those from the
opening line (all is planned) to the last cell. Leave the machine alone meanwhile. This
is a benchmark, not a test. Quote the ratios of one call.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 120.0


@contextlib.contextmanager
def process(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background, and terminate it afterwards."""
    with log.open("wb") as stream:
        running = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream)
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


def wait_for(file: Path, text: str = "") -> str:
    """Return the content of a file once it contains this text."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if file.is_file() and (content := file.read_text(encoding="utf-8")) and text in content:
            return content
        time.sleep(0.05)
    raise SystemExit(f"no {text!r} in {file}")


@contextlib.contextmanager
def cluster(folder: Path, workers: int, *options: str) -> Iterator[str]:
    """Yield the address of a scheduler with so many workers, which are ready."""
    with contextlib.ExitStack() as stack:
        file = folder / "scheduler.json"
        file.unlink(missing_ok=True)
        stack.enter_context(
            process(
                *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
                *("--port", "0", "--dashboard-address", "127.0.0.1:0", "--no-show"),
                *("--scheduler-file", str(file)),
                log=folder / "scheduler.log",
            )
        )
        address = str(json.loads(wait_for(file))["address"])
        for number in range(workers):
            log = folder / f"worker-{number}.log"
            log.unlink(missing_ok=True)
            command = (sys.executable, "-m", "matrix", "worker", address, *options)
            stack.enter_context(process(*command, log=log))
        for number in range(workers):
            wait_for(folder / f"worker-{number}.log", "worker ready")
        yield address


def timed(folder: Path, address: str, selection: list[str]) -> tuple[int, float]:
    """Run the selection and return how many cells ran, and the seconds until the last ended."""
    command = (sys.executable, "-u", "-m", "matrix", "verify", "--cluster", address, "--fresh")
    environment = {**os.environ, "COMPAT_MATRIX_RESULTS": str(folder / "results")}
    start = last = 0.0
    cells = 0
    with subprocess.Popen(
        (*command, *selection), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if " workers of a cluster" in line or " worker of a cluster" in line:
                start = time.monotonic()
            elif line.startswith("["):
                cells, last = cells + 1, time.monotonic()
    if not cells:
        raise SystemExit(f"no cell ran: exit code {running.returncode}")
    return cells, last - start


def main() -> None:
    """Measure, and print a table as it fills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--jobs", default="1", help="cells at a time of each worker")
    parser.add_argument("--engine", default="local", help="what the workers run cells in")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--select",
        nargs=argparse.REMAINDER,
        default=["--framework", "bottle*"],
        help="options of verify that select cells, to the end (default: --framework 'bottle*')",
    )
    args = parser.parse_args()
    options = ("--engine", args.engine, "--jobs", args.jobs)
    seconds: dict[int, list[float]] = {count: [] for count in args.workers}
    cells = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with cluster(folder, max(args.workers), *options) as address:
            cells, took = timed(folder, address, args.select)
        print(f"filling: {cells} cells in {took:.1f} s", flush=True)
        for _ in range(args.rounds):
            for count in args.workers:
                with cluster(folder, count, *options) as address:
                    cells, took = timed(folder, address, args.select)
                seconds[count].append(took)
                print(f"workers: {count}, {cells} cells in {took:.1f} s", flush=True)
    print(f"{'workers':>7} {'s':>8} {'cells/s':>8} {'ratio':>6}")
    base = statistics.median(seconds[args.workers[0]])
    for count in args.workers:
        median = statistics.median(seconds[count])
        print(f"{count:7} {median:8.1f} {cells / median:8.3f} {base / median:6.2f}")


if __name__ == "__main__":
    main()
