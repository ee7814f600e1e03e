"""Back ends: who uses them, how many cells need them, and what there is of them.

A plan alone needs this and nothing else of the reports, which are slow to import.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.reporting.text import count_text
from matrix.services.pool import Services


def service_users(probes: Iterable[Probe]) -> dict[str, tuple[str, ...]]:
    """Return the libraries or probes that use each back end: celery, kombu, redis for `redis`."""
    users: dict[str, dict[str, None]] = defaultdict(dict)
    for probe in probes:
        for service in probe.services:
            users[service].update(dict.fromkeys(probe.frameworks or (probe.name,)))
    return {service: tuple(sorted(names)) for service, names in users.items()}


def count_needed_services(
    cells: Iterable[PlannedCell], probes: Mapping[str, Probe]
) -> dict[str, int]:
    """Return the number of cells that need each back end."""
    counts: Counter[str] = Counter()
    for planned in cells:
        needed = (probes[name].services for name in planned.probes if name in probes)
        counts.update({service for services in needed for service in services})
    return dict(sorted(counts.items()))


def service_state_lines(services: Services, needed: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each back end with its version, or the reason why there is none."""
    for name, count in needed.items():
        state, cells = services.state(name), count_text(count, "cell")
        if state.identity is None:
            yield f"missing here    {name}, for {cells}: {state.reason}: {state.remedy}"
        else:
            yield f"back end        {state.identity}, for {cells}"
