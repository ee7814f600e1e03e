"""Probe of query strings in Flask: Threat Detection sees an attack there.

It runs in Django too, to show that the stimulus is valid.
"""

from __future__ import annotations

from matrix.model.probe import Channel, Compared, Probe, Stimulus
from matrix.probes.evidence.security import Triggered
from matrix.probes.evidence.spans import TagContains

SCRIPT_IN_URL = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"

PROBE = Probe(
    name="flask-query-string",
    title="Attacks in query strings are detected",
    channels=(
        Channel(
            name="static",
            setting="appsec",
            stimuli=(
                Stimulus(
                    name="script-in-query",
                    path="/{shop}/search?q=" + SCRIPT_IN_URL,
                    evidence=Triggered(address="server.request.query", value="script"),
                ),
            ),
        ),
        # The query string in the trace itself.
        Channel(
            name="url",
            setting="off",
            control="untraced",
            claimed=False,
            stimuli=(
                Stimulus(
                    name="url-tag",
                    path="/{shop}/search?q=Middlemarch",
                    compared=Compared.ANSWER,
                    plain=200,
                    evidence=TagContains("http.url", "Middlemarch"),
                ),
            ),
        ),
    ),
)
