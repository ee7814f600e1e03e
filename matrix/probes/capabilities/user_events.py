"""Probe of automatic user events: logins are reported without code in the app."""

from __future__ import annotations

from matrix.model.probe import AllOf, Channel, Evidence, Probe, Stimulus
from matrix.probes.evidence.spans import TagEquals, TagExists


def login(name: str, form: str, *evidence: Evidence, decisive: bool = True) -> Stimulus:
    """Return a login by a form."""
    return Stimulus(
        name=name,
        method="POST",
        path="/{shop}/login",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=form,
        evidence=AllOf(*evidence),
        decisive=decisive,
    )


SUCCESS = TagEquals("appsec.events.users.login.success.track", "true")
FAILURE = TagEquals("appsec.events.users.login.failure.track", "true")

PROBE = Probe(
    name="user-events",
    title="Logins are reported",
    channels=(
        Channel(
            name="environment",
            setting="appsec",
            stimuli=(
                login(
                    "success", "username=alice&password=wonderland", SUCCESS, TagExists("usr.id")
                ),
                login("wrong-password", "username=alice&password=looking-glass", FAILURE),
                login("unknown-user", "username=bob&password=hatter", FAILURE, decisive=False),
            ),
        ),
    ),
    frameworks=("django",),
)
