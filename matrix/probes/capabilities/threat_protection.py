"""Probe of Threat Protection: an attacker is blocked before the view runs, and it is reported."""

from __future__ import annotations

from matrix.model.probe import AllOf, Channel, Probe, RemoteConfig, Stimulus
from matrix.probes.evidence.http import FollowUpSays, StatusIs
from matrix.probes.evidence.spans import TagEquals

# A public address: private and documentation addresses are ignored.
ADDRESS = "81.2.69.143"
FAR_FUTURE = 4102444800  # 2100-01-01, seconds since 1970

# Three sources: the response, the effect of the view, and the trace.
BLOCKED = AllOf(
    StatusIs(403),
    FollowUpSays("orders", 0, "the view did not run"),
    TagEquals("appsec.blocked", "true"),
)


def _order(name: str, *headers: tuple[str, str]) -> Stimulus:
    return Stimulus(
        name=name,
        method="POST",
        path="/{shop}/orders",
        headers=(("Content-Type", "application/json"), *headers),
        body='{"book": "emma", "copies": 1}',
        follow_up="/{shop}/orders",
        evidence=BLOCKED,
    )


PROBE = Probe(
    name="threat-protection",
    title="Attackers are blocked",
    channels=(
        Channel(
            name="static",
            setting="appsec",
            stimuli=(_order("scanner-header", ("User-Agent", "dd-test-scanner-log-block")),),
        ),
        Channel(
            name="remote-config",
            setting="appsec",
            # The same library without the configuration: what blocks is the configuration.
            control="appsec",
            stimuli=(
                # Some servers drop the first header of an untrusted client.
                _order("blocked-address", ("X-Forwarded-For", ADDRESS), ("X-Real-IP", ADDRESS)),
            ),
            configs=(
                RemoteConfig(
                    product="ASM_DATA",
                    config_id="blocked-addresses",
                    content={
                        "rules_data": [
                            {
                                "id": "blocked_ips",
                                "type": "ip_with_expiration",
                                "data": [{"value": ADDRESS, "expiration": FAR_FUTURE}],
                            }
                        ]
                    },
                    undo={"rules_data": []},
                ),
            ),
        ),
    ),
)
