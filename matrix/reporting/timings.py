"""The table of `verify --timings`: the time that each phase of a run took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from matrix.model.capture import Cost

_TITLES = {
    "plan": "plan: documents and releases to cells",
    "resolve": "resolve: locks that are not committed",
    "build": "build: environments, with downloads",
    "byte code": "byte code, once for a wheel and CPython",
    "sandbox": "sandbox: until it is there",
    "wait for a CPU": "waits for a CPU, of apps that are to boot",
    "identity": "identity: what is installed",
    "boot": "boot: apps, until they listen",
    "requests": "requests, and waits for evidence",
    "recording": "recording: workers, for whole cells",
    "judge": "judge, and keep the captures",
    "report": "report",
    "other": "other: start, pipes, display",
}


def print_timings(console: Console, costs: Iterable[Cost], seconds: float) -> None:
    """Print the costs of a run that took so many seconds.

    The seconds of phases are summed over all that ran at the same time.
    """
    costs = list(costs)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase")
    for title in ("times", "seconds", "CPU seconds", "of all CPU"):
        table.add_column(title, justify="right")
    for row in timing_rows(costs):
        table.add_row(*row)
    console.print(table)
    cpu = sum(cost.cpu_seconds for cost in costs)
    console.print(
        f"the run took {seconds:.1f} s, and {cpu:.1f} s of CPU time; seconds of phases at the same"
        " time are added up, services and engines are not counted",
        style="dim",
        highlight=False,
        soft_wrap=True,
    )
    console.print()


def timing_rows(costs: Iterable[Cost]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield phase, times, seconds, CPU seconds, and their share of all CPU seconds."""
    costs = list(costs)
    total = sum(cost.cpu_seconds for cost in costs)
    for cost in costs:
        share = f"{100 * cost.cpu_seconds / total:.0f} %" if total else ""
        seconds = f"{cost.seconds:.1f}" if cost.seconds else ""
        title = _TITLES.get(cost.phase, cost.phase)
        yield title, f"{cost.count:,}", seconds, f"{cost.cpu_seconds:.1f}", share
