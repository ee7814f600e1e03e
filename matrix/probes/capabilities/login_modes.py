"""Probe of the modes of automatic user events: logins are reported in the way that a mode names.

The mode that disables them is the control of the others.
"""

from __future__ import annotations

from matrix.model.probe import Channel, Evidence, Probe
from matrix.probes.capabilities.user_events import FAILURE, SUCCESS, login
from matrix.probes.evidence.spans import TagContains, TagEquals, TagExists

_RIGHT = "username=alice&password=wonderland"
_WRONG = "username=alice&password=looking-glass"
_DISABLED = "login-disabled"


def _mode(mode: str, user: Evidence, *, claimed: bool = True) -> Channel:
    """Return the channel of a mode, in which the event names it and the user in its way."""
    named = TagEquals("_dd.appsec.events.users.login.success.auto.mode", mode)
    stimuli = (
        login("success", _RIGHT, SUCCESS, named, user),
        login("wrong-password", _WRONG, FAILURE),
    )
    return Channel(mode, f"login-{mode}", stimuli, control=_DISABLED, claimed=claimed)


PROBE = Probe(
    name="login-modes",
    title="Logins are reported in the modes that documents name",
    channels=(
        _mode("identification", TagEquals("usr.id", "1")),
        _mode("anonymization", TagContains("usr.id", "anon_"), claimed=False),
        # Later releases take it for the mode "identification", or do not know it.
        Channel(
            "extended",
            "login-extended",
            (login("success", _RIGHT, SUCCESS, TagExists("usr.id")),),
            control=_DISABLED,
        ),
    ),
    frameworks=("django",),
)
