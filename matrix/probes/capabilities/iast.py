"""Probe of runtime code analysis (IAST): vulnerable code is reported when it runs."""

from __future__ import annotations

from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.evidence.security import VulnerabilityReported


def _request(name: str, path: str, vulnerability: str, *, decisive: bool = False) -> Stimulus:
    evidence = VulnerabilityReported(vulnerability)
    return Stimulus(name=name, path=path, evidence=evidence, decisive=decisive)


PROBE = Probe(
    name="iast",
    title="Vulnerable code is reported",
    channels=(
        Channel(
            name="environment",
            setting="iast",
            stimuli=(
                _request("weak-hash", "/{shop}/checksum?text=emma", "WEAK_HASH", decisive=True),
                # These require taint tracking: recorded, but not decisive.
                _request("sql-injection", "/{shop}/find?title=Emm", "SQL_INJECTION"),
                _request("path-traversal", "/{shop}/preview?file=emma.txt", "PATH_TRAVERSAL"),
                _request("command-injection", "/{shop}/convert?name=emma", "COMMAND_INJECTION"),
            ),
        ),
    ),
)
