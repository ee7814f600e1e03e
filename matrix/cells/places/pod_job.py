"""The job of the recorder in a pod: what counts there of a worker's, and no path of its machine."""

from __future__ import annotations

import dataclasses

from matrix.cells.job import CellJob, Limits
from matrix.docker.interface import Confinement
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe


@dataclasses.dataclass(frozen=True)
class PodJob:
    """The fields of a `CellJob` that count in a pod, picklable; `image` is the app's, by name."""

    planned: PlannedCell
    key: str
    lock: tuple[str, ...]
    probes: tuple[Probe, ...]
    repeats: int
    soak_requests: int
    limits: Limits
    confinement: Confinement
    bare: bool
    image: str

    @classmethod
    def of(cls, job: CellJob, image: str) -> PodJob:
        """Return the job for a pod."""
        return cls(**{name: getattr(job, name) for name in CARRIED}, image=image)


CARRIED = tuple(name for name in PodJob.__dataclass_fields__ if name != "image")
"""The fields of a `CellJob` that its job in a pod has, too."""
