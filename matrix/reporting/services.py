"""Which back ends the probes of cells need, and how these stand here. Starts nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.reporting.text import count_text
from matrix.services.pool import Services



def service_users(probes: Iterable[Probe]) -> dict[str, tuple[str, ...]]:
    """Return for each back end what is tried against it: `redis` for celery, kombu and redis."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for probe in probes:
        for service in probe.services:
            found[service].update(dict.fromkeys(probe.frameworks or (probe.name,)))
    return {service: tuple(sorted(names)) for service, names in found.items()}


def count_needed_services(
    cells: Iterable[PlannedCell], probes: Mapping[str, Probe]
) -> dict[str, int]:
    """Return the back ends that the cells need, and how many of them need each."""
    counts: Counter[str] = Counter()
    for planned in cells:
        needed = (probes[name].services for name in planned.probes if name in probes)
        counts.update({service for services in needed for service in services})
    return dict(sorted(counts.items()))


def service_state_lines(services: Services, needed: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each back end: what would be used, or why there is none."""
    for name, count in needed.items():
        state = services.state(name)
        if state.identity is None:
            yield f"missing here    {name}, for {count_text(count, 'cell')}: {state.reason}: {state.remedy}"
        else:
            yield f"back end        {state.identity}, for {count_text(count, 'cell')}"
