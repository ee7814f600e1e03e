"""Runtime code analysis (IAST): the app's own weaknesses are reported when they are run."""

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
                # These need the flow of data to be followed: told, and decide nothing.
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
