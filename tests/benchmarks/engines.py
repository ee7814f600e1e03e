"""Linux only: time the same cells here and in containers, on each CPU that an engine runs.

    python tests/benchmarks/engines.py --keep-cache DIR       # smoke, three times each in turn
    python tests/benchmarks/engines.py --rounds 5 --way "this machine" --way docker

Caches are filled first, so every timed run is warm and `--fresh`. CPU is the whole machine's, as a
container's processes are children of the engine: leave the machine alone meanwhile. This is a
benchmark, not a test.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if sys.platform != "linux":
    raise ImportError("Linux only: it reads /proc/stat")

ROOT = Path(__file__).resolve().parent.parent.parent
NATIVE = "linux_x86_64"
BACKENDS = {
    "this machine": ("--engine", "local", "--target", NATIVE),
    "docker": ("--engine", "docker", "--target", NATIVE),
    "docker 386": ("--engine", "docker", "--target", "linux_i686"),
    "docker arm64": ("--engine", "docker", "--target", "linux_aarch64"),
}


def busy_seconds() -> float:
    """Return the CPU seconds that this machine has spent since it was started, see proc(5)."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    idle = int(fields[3]) + int(fields[4])
    return (sum(map(int, fields[:8])) - idle) / os.sysconf("SC_CLK_TCK")


def timed(folder: Path, *arguments: str) -> tuple[float, float, str]:
    """Run `verify` and return seconds on the clock, CPU seconds, and its last line."""
    environment = {
        **os.environ,
        "COMPAT_MATRIX_CACHE": str(folder / "cache"),
        "COMPAT_MATRIX_RESULTS": str(folder / "results"),
    }
    command = (sys.executable, "-m", "matrix", "verify", *arguments)
    wall, cpu = time.monotonic(), busy_seconds()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    wall, cpu = time.monotonic() - wall, busy_seconds() - cpu
    counts = [line for line in done.stdout.splitlines() if "confirmed" in line]
    return wall, cpu, counts[-1] if counts else f"exit code {done.returncode}: {done.stderr[-200:]}"


def main() -> None:
    """Measure, and print a table as it fills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--way", action="append", choices=BACKENDS, help="only this one; can be repeated"
    )
    parser.add_argument("--keep-cache", type=Path, help="use (and keep) this folder, warm or not")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep_cache or Path(scratch)
        backends = {name: BACKENDS[name] for name in args.way or BACKENDS}
        for name, options in backends.items():
            wall, cpu, line = timed(folder, "--profile", args.profile, *options)
            print(f"filling, {name:14} {wall:7.1f} s {cpu:7.1f} s CPU  {line}", flush=True)
        walls: dict[str, list[float]] = {name: [] for name in backends}
        cpus: dict[str, list[float]] = {name: [] for name in backends}
        for _ in range(args.rounds):
            for name, options in backends.items():
                wall, cpu, _line = timed(folder, "--profile", args.profile, "--fresh", *options)
                walls[name].append(wall)
                cpus[name].append(cpu)
        first = next(iter(backends))
        base_wall, base_cpu = (statistics.median(times[first]) for times in (walls, cpus))
        print(f"{'warm, --fresh':16} {'wall s':>8} {'ratio':>6} {'CPU s':>8} {'ratio':>6}")
        for name in backends:
            wall, cpu = statistics.median(walls[name]), statistics.median(cpus[name])
            print(f"{name:16} {wall:8.1f} {wall / base_wall:6.2f} {cpu:8.1f} {cpu / base_cpu:6.2f}")


if __name__ == "__main__":
    main()
