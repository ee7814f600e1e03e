"""Probe of runtime code analysis (IAST): vulnerable code is reported when it runs."""

from __future__ import annotations

from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.evidence.security import VulnerabilityReported

PROBE = Probe(
    name="iast",
    title="Vulnerable code is reported",
    channels=(
        Channel(
            name="environment",
            setting="iast",
            stimuli=(
                Stimulus(
                    name="weak-hash",
                    path="/{shop}/checksum?text=emma",
                    evidence=VulnerabilityReported("WEAK_HASH"),
                ),
                # These require taint tracking: recorded, but not decisive.
                Stimulus(
                    name="sql-injection",
                    path="/{shop}/find?title=Emm",
                    evidence=VulnerabilityReported("SQL_INJECTION"),
                    decisive=False,
                ),
                Stimulus(
                    name="path-traversal",
                    path="/{shop}/preview?file=emma.txt",
                    evidence=VulnerabilityReported("PATH_TRAVERSAL"),
                    decisive=False,
                ),
                Stimulus(
                    name="command-injection",
                    path="/{shop}/convert?name=emma",
                    evidence=VulnerabilityReported("COMMAND_INJECTION"),
                    decisive=False,
                ),
            ),
        ),
    ),
)
