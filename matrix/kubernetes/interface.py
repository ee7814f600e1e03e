"""Data and errors of a cluster of Kubernetes, for all who have no client of it."""

from __future__ import annotations

import dataclasses
from typing import Any

Manifest = dict[str, Any]
"""An object of the API as JSON values."""

_FORBIDDEN = 403


@dataclasses.dataclass(frozen=True)
class RunNamespace:
    """The namespace of a run on the cluster of a context, with so many ConfigMaps of the archive.

    Picklable, for worker processes. `labels` are those of all that is made in it.
    """

    context: str
    name: str
    pieces: int
    labels: tuple[tuple[str, str], ...]


class KubernetesError(Exception):
    """The cluster refused a call: `status` is that of HTTP, the message the cluster's own."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_forbidden(self) -> bool:
        """True where a right is missing, or a quota was exceeded."""
        return self.status == _FORBIDDEN


class KubernetesLostError(KubernetesError):
    """The cluster did not answer, or only asked to come back later, until patience ended."""
