"""Run a plan whole and in shards, and compare times and verdicts.

    python tests/benchmarks/shards.py --profile smoke
    python tests/benchmarks/shards.py --shards 4 --jobs 4 --profile documented --framework 'flask*'
    python tests/benchmarks/shards.py --folder DIR --profile documented   # resumes

All other options go to `plan --github` and to `verify`. As many cells run at a time in
all shards together as in the whole run. The exit code is 1 where any verdict differs.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclasses.dataclass(frozen=True)
class TimedRun:
    """The verdicts file of a run, and its seconds on the clock."""

    data: dict[str, Any]
    seconds: float


def command(results: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `python -m matrix` with its results and its log in a folder."""
    results.mkdir(parents=True, exist_ok=True)
    name = "-".join(word.strip("-") for word in arguments[:3]).replace(os.sep, "_")
    with (results / f"{name}.log").open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            (sys.executable, "-m", "matrix", *arguments),
            cwd=ROOT,
            env={**os.environ, "COMPAT_MATRIX_RESULTS": str(results)},
            stdout=subprocess.PIPE if arguments[0] == "plan" else log,
            stderr=log,
            text=True,
        )


def whole(folder: Path, jobs: int, selection: Sequence[str]) -> TimedRun:
    """Run the plan as one."""
    start = time.monotonic()
    path = folder / "whole.json"
    done = command(folder / "whole", "verify", "--json", str(path), "--jobs", str(jobs), *selection)
    if done.wait() not in {0, 1}:
        sys.exit(f"the whole run ended with {done.returncode}: see {folder / 'whole'}")
    return TimedRun(json.loads(path.read_text(encoding="utf-8")), time.monotonic() - start)


def shared(
    folder: Path, jobs: int, shards: int, selection: Sequence[str]
) -> tuple[TimedRun, list[str]]:
    """Run the plan in shards, all at once, and collect them; return the run and log lines."""
    results = folder / "shared"
    manifest = results / "manifest.json"
    if not manifest.is_file():
        plan = command(results, "plan", "--github", "--shards", str(shards), *selection)
        plan.communicate()
        if plan.returncode:
            sys.exit(f"the plan ended with {plan.returncode}: see {results}")
    names = [shard["name"] for shard in json.loads(manifest.read_text(encoding="utf-8"))["shards"]]
    jobs_each = str(max(1, jobs // len(names)))
    start = time.monotonic()
    running = {
        name: command(results, "verify", "--shard", name, "--jobs", jobs_each) for name in names
    }
    codes = {name: process.wait() for name, process in running.items()}
    seconds = time.monotonic() - start
    lines = [
        f"shard {name}: exit code {codes[name]}, {_last_line(results, name)}" for name in names
    ]
    path = folder / "collected.json"
    begun = time.monotonic()
    done = command(results, "collect", "--json", str(path))
    if done.wait() not in {0, 1}:
        sys.exit(f"collect ended with {done.returncode}: see {results}")
    lines.append(f"collect: {time.monotonic() - begun:.1f} s")
    return TimedRun(json.loads(path.read_text(encoding="utf-8")), seconds), lines


def differences(one: dict[str, Any], other: dict[str, Any]) -> Iterator[str]:
    """Yield the verdicts that are not the same, and the cells on which they may rest."""
    for table, key, names in (
        ("verdicts", "claim", ("outcome", "tightness", "reason", "cells")),
        ("cells", "id", ("outcome", "reason", "fallback", "probes", "findings")),
    ):
        first, second = ({row[key]: row for row in data[table]} for data in (one, other))
        for name in sorted(first.keys() | second.keys()):
            a, b = (_only(rows.get(name), names) for rows in (first, second))
            if a != b:
                yield f"{table[:-1]} {name}\n    whole:  {a}\n    shards: {b}"


def _only(row: dict[str, Any] | None, names: Sequence[str]) -> object:
    """Return the fields that can be compared: not the texts, which contain times and counts."""
    if row is None:
        return None
    fields = {name: row[name] for name in names}
    if "findings" in fields:
        fields["findings"] = sorted(
            (item["probe"], item["channel"], item["shows"], item["reason"] or "")
            for item in fields["findings"]
        )
    return fields


def _last_line(results: Path, name: str) -> str:
    text = (results / f"verify-shard-{name}.log").read_text(encoding="utf-8").strip()
    return text.splitlines()[-1] if text else "no output"


def main() -> int:
    """Run both, and print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, default=3, metavar="N")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="cells at a time, in all")
    parser.add_argument("--folder", type=Path, help="for the results (default: a temporary one)")
    parser.add_argument("--engine", default="local", choices=("docker", "local"))
    args, rest = parser.parse_known_args()
    selection = ["--engine", args.engine, *rest]
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        in_shards, lines = shared(folder.resolve(), args.jobs, args.shards, selection)
        alone = whole(folder.resolve(), args.jobs, selection)
    for line in lines:
        print(line)
    for name, run in (("whole", alone), ("shards", in_shards)):
        print(f"{name}: {run.seconds:.1f} s, {run.data['run']['cells']['run']} cells")
    found = list(differences(alone.data, in_shards.data))
    for line in found:
        print(f"differs: {line}")
    verdicts = sum(line.startswith("verdict ") for line in found)
    count = len(alone.data["verdicts"])
    print(
        f"{count - verdicts} of {count} verdicts are the same; {len(found) - verdicts} cells differ"
    )
    return 1 if verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
