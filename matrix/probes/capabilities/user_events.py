"""Probe of automatic user events: logins are reported without code in the app.

By default, and in each mode that documents name; the mode that disables them is the control.
"""

from __future__ import annotations

from matrix.model.probe import AllOf, Channel, Evidence, Probe, Stimulus
from matrix.probes.evidence.spans import TagContains, TagEquals, TagExists

SUCCESS = TagEquals("appsec.events.users.login.success.track", "true")
FAILURE = TagEquals("appsec.events.users.login.failure.track", "true")
_DISABLED = "login-disabled"


def _login(name: str, form: str, *evidence: Evidence, decisive: bool = True) -> Stimulus:
    return Stimulus(
        name=name,
        method="POST",
        path="/{shop}/login",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=form,
        evidence=AllOf(*evidence),
        decisive=decisive,
    )


def _success(*evidence: Evidence) -> Stimulus:
    return _login("success", "username=alice&password=wonderland", SUCCESS, *evidence)


def _mode(mode: str, user: Evidence) -> Channel:
    """Return the channel of a mode, in which the event names it and the user in its way."""
    named = TagEquals("_dd.appsec.events.users.login.success.auto.mode", mode)
    wrong_password = _login("wrong-password", "username=alice&password=looking-glass", FAILURE)
    stimuli = (_success(named, user), wrong_password)
    return Channel(mode, f"login-{mode}", stimuli, control=_DISABLED)


PROBE = Probe(
    name="user-events",
    title="Logins are reported",
    channels=(
        Channel(
            name="environment",
            setting="appsec",
            stimuli=(
                _success(TagExists("usr.id")),
                _login("wrong-password", "username=alice&password=looking-glass", FAILURE),
                _login("unknown-user", "username=bob&password=hatter", FAILURE, decisive=False),
            ),
        ),
        _mode("identification", TagEquals("usr.id", "1")),
        _mode("anonymization", TagContains("usr.id", "anon_")),
        # Later releases take it for the mode "identification", or do not know it.
        Channel("extended", "login-extended", (_success(TagExists("usr.id")),), control=_DISABLED),
    ),
    frameworks=("django",),
)
