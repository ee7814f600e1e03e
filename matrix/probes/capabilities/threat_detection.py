"""Probe of Threat Detection: an attack is reported in the trace of its request."""

from __future__ import annotations

from matrix.model.probe import AllOf, Channel, Probe, RemoteConfig, Stimulus
from matrix.probes.evidence.security import Triggered
from matrix.probes.evidence.spans import TagEquals

SCRIPT = "<script>alert(1)</script>"
SCRIPT_IN_URL = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"

# Every release inspects this header; the other places are recorded, but not decisive.
SCANNER = Stimulus(
    name="scanner-header",
    path="/{shop}/search?q=Emma",
    headers=(("User-Agent", "Arachni/v1"),),
    evidence=AllOf(
        Triggered(rule="ua0-", address="server.request.headers"), TagEquals("appsec.event", "true")
    ),
)

PROBE = Probe(
    name="threat-detection",
    title="Attacks are detected",
    channels=(
        Channel(
            name="static",
            setting="appsec",
            stimuli=(
                SCANNER,
                Stimulus(
                    name="script-in-query",
                    path="/{shop}/search?q=" + SCRIPT_IN_URL,
                    evidence=Triggered(address="server.request.query", value="script"),
                    decisive=False,
                ),
                Stimulus(
                    name="script-in-json",
                    method="POST",
                    path="/{shop}/orders",
                    headers=(("Content-Type", "application/json"),),
                    body='{"book": "' + SCRIPT + '", "copies": 1}',
                    evidence=Triggered(address="server.request.body", value="script"),
                    decisive=False,
                ),
                Stimulus(
                    name="script-in-form",
                    method="POST",
                    path="/{shop}/reviews",
                    headers=(("Content-Type", "application/x-www-form-urlencoded"),),
                    body="book=emma&text=" + SCRIPT_IN_URL,
                    evidence=Triggered(address="server.request.body", value="script"),
                    decisive=False,
                ),
                Stimulus(
                    name="script-in-cookie",
                    path="/{shop}/greeting",
                    headers=(("Cookie", "name=" + SCRIPT),),
                    evidence=Triggered(address="server.request.cookies", value="script"),
                    # The bundled rules of most releases do not inspect cookies for scripts.
                    attempts=1,
                    decisive=False,
                ),
                Stimulus(
                    name="script-in-path",
                    path="/{shop}/stock/" + SCRIPT_IN_URL.replace("%2F", ""),
                    evidence=Triggered(address="server.request.path_params", value="script"),
                    decisive=False,
                ),
            ),
        ),
        Channel(
            name="remote-config",
            setting="off",
            claimed=False,
            stimuli=(SCANNER,),
            configs=(
                RemoteConfig(
                    product="ASM_FEATURES",
                    config_id="asm-features-activation",
                    content={"asm": {"enabled": True}},
                    undo={"asm": {"enabled": False}},
                ),
            ),
        ),
    ),
)
