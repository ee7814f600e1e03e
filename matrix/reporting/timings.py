"""The table of `verify --timings`: the time that each phase of a run took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from matrix.model.capture import Cost
from matrix.system.timings import (
    BOOT,
    BUILD,
    BYTE_CODE,
    CPU_WAIT,
    IDENTITY,
    JUDGE,
    OTHER,
    PLAN,
    RECORDING,
    REPORT,
    REQUESTS,
    RESOLVE,
    SANDBOX,
)

_TITLES = {
    PLAN: "plan: documents and releases to cells",
    RESOLVE: "resolve: locks that are not committed",
    BUILD: "build: environments, with downloads",
    BYTE_CODE: "byte code, once for a wheel and CPython",
    SANDBOX: "sandbox: until it is there",
    CPU_WAIT: "waits for a CPU, of apps that are to boot",
    IDENTITY: "identity: what is installed",
    BOOT: "boot: apps, until they listen",
    REQUESTS: "requests, and waits for evidence",
    RECORDING: "recording: workers, for whole cells",
    JUDGE: "judge, and keep the captures",
    REPORT: "report",
    OTHER: "other: start, pipes, display",
}


def print_timings(console: Console, costs: Sequence[Cost], seconds: float) -> None:
    """Print the costs of a run that took so many seconds.

    The seconds of phases are summed over all that ran at the same time.
    """
    cpu = sum(cost.cpu_seconds for cost in costs)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase")
    for title in ("times", "seconds", "CPU seconds", "of all CPU"):
        table.add_column(title, justify="right")
    for row in _rows(costs, cpu):
        table.add_row(*row)
    console.print(table)
    console.print(
        f"the run took {seconds:.1f} s, and {cpu:.1f} s of CPU time; seconds of phases at the same"
        " time are added up, services and engines are not counted",
        style="dim",
        highlight=False,
        soft_wrap=True,
    )
    console.print()


def _rows(costs: Iterable[Cost], cpu: float) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield phase, times, seconds, CPU seconds, and their share of all CPU seconds."""
    for cost in costs:
        share = f"{100 * cost.cpu_seconds / cpu:.0f} %" if cpu else ""
        seconds = f"{cost.seconds:.1f}" if cost.seconds else ""
        yield _TITLES[cost.phase], f"{cost.count:,}", seconds, f"{cost.cpu_seconds:.1f}", share
