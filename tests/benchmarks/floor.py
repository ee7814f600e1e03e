"""Linux only: CPU of a run against the boots that its cells need, made by hand.

    python tests/benchmarks/floor.py                               # smoke
    python tests/benchmarks/floor.py --rounds 3 --claim '*/integration/redis*'

Arguments that are not its own are those of `verify`. The cells run once to fill the caches, and
then `--fresh`; the CPU is the whole machine's, so leave it alone meanwhile. Then each process of a
cell (its repeats, too) is started by hand in the same environment with the same variables, without
sandbox, agent or requests, and ended once it listens. This is a benchmark, not a test.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

if sys.platform != "linux":
    raise ImportError("Linux only: it reads /proc/stat")

from engines import ROOT, busy_seconds

sys.path.insert(0, str(ROOT))
from matrix.model.cell import Cell

LAUNCH = "from ddtrace.commands.ddtrace_run import main; main()"
APPS = ROOT / "apps"
# Folders of a sandbox that has gone.
_SCRATCH = ("HOME", "TMPDIR", "TEMP", "TMP", "BOOKSHOP_DATABASE")


def verify(results: Path, *arguments: str) -> float:
    """Run `verify` and return the CPU seconds that it took."""
    environment = {**os.environ, "COMPAT_MATRIX_RESULTS": str(results)}
    command = [sys.executable, "-m", "matrix", "verify", "--engine", "local", *arguments]
    before = busy_seconds()
    with (results / "output").open("wb") as output:
        subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=False
        )
    return busy_seconds() - before


def boots(captures: Path) -> Iterator[tuple[Sequence[str], Mapping[str, str]]]:
    """Yield the command and the variables of each process in the newest capture of each cell."""
    for folder in sorted(captures.iterdir()):
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        with gzip.open(newest, "rt", encoding="utf-8") as file:
            capture: dict[str, Any] = json.load(file)
        app = Cell.parse(folder.name).framework
        for process in capture["processes"]:
            probes = {exchange["probe"] for exchange in process["exchanges"]}
            library = any(probe.startswith("integration-") for probe in probes)
            python = capture["identity"]["executable"]
            command = [python, str(APPS / "serve.py"), f"library:{app}" if library else app]
            if process["setting"] != "bare":
                command[1:1] = ["-c", LAUNCH, python]
            yield command, process["environment"]


def boot(command: Sequence[str], variables: Mapping[str, str]) -> bool:
    """Start an app, end it once it listens, and return whether it did."""
    with tempfile.TemporaryDirectory() as scratch:
        own = {name: f"{scratch}/db" if "DATA" in name else scratch for name in _SCRATCH}
        environment = {**variables, **{name: own[name] for name in _SCRATCH if name in variables}}
        with subprocess.Popen(
            command,
            cwd=APPS,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as app:
            assert app.stdout is not None
            ready = any(line.startswith(b"bookshop ready") for line in app.stdout)
            app.kill()
    return ready


def main() -> None:
    """Measure, and print one line for each round, and the median."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    args, selection = parser.parse_known_args()
    selection = selection or ["--profile", "smoke"]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        verify(results, *selection)
        for _ in range(args.rounds):
            cpu = verify(results, *selection, "--fresh")
            before = busy_seconds()
            listened = [boot(*each) for each in boots(results / "captures")]
            by_hand = busy_seconds() - before
            ratios.append(cpu / by_hand)
            counts = f"{len(listened)} boots, {sum(listened)} of them listen"
            print(
                f"run {cpu:.1f} s, by hand {by_hand:.1f} s ({counts}): {ratios[-1]:.2f}", flush=True
            )
    print(f"median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
