"""Probe of custom blocked responses: status, body and redirect are those of the operator."""

from __future__ import annotations

from matrix.model.probe import AllOf, Channel, Evidence, Probe, RemoteConfig, Stimulus
from matrix.probes.evidence.http import BodyContains, FollowUpSays, HeaderContains, StatusIs

# The user agent of the bundled rule that exists to test blocking.
TEST_SCANNER = "dd-test-scanner-log-block"
TEAPOT = 418


def _order(name: str, user_agent: str, accept: str, *evidence: Evidence) -> Stimulus:
    return Stimulus(
        name=name,
        method="POST",
        path="/{shop}/orders",
        headers=(
            ("Content-Type", "application/json"),
            ("User-Agent", user_agent),
            ("Accept", accept),
        ),
        body='{"book": "emma", "copies": 1}',
        follow_up="/{shop}/orders",
        evidence=AllOf(*evidence, FollowUpSays("orders", 0, "the view did not run")),
    )


PROBE = Probe(
    name="custom-blocked-response",
    title="The answer to a blocked request can be customised",
    channels=(
        Channel(
            name="environment",
            setting="custom-response",
            # Blocks as well, with the library's own response.
            control="appsec",
            stimuli=(
                _order(
                    "html-template",
                    TEST_SCANNER,
                    "text/html",
                    StatusIs(403),
                    HeaderContains("Content-Type", "html"),
                    BodyContains("bookshop-blocked-template-html"),
                ),
                _order(
                    "json-template",
                    TEST_SCANNER,
                    "application/json",
                    StatusIs(403),
                    HeaderContains("Content-Type", "json"),
                    BodyContains("bookshop-blocked-template-json"),
                ),
            ),
        ),
        Channel(
            name="static",
            setting="custom-rules",
            # Has no such rules.
            control="appsec",
            stimuli=(
                _order(
                    "status-json",
                    "bookshop-block-json",
                    "text/html",
                    StatusIs(451),
                    HeaderContains("Content-Type", "json"),
                ),
                _order(
                    "status-html",
                    "bookshop-block-html",
                    "application/json",
                    StatusIs(410),
                    HeaderContains("Content-Type", "html"),
                ),
            ),
        ),
        # A redirect is an action of its own.
        Channel(
            name="redirect",
            setting="custom-rules",
            control="appsec",
            stimuli=(
                _order(
                    "redirect",
                    "bookshop-redirect",
                    "text/html",
                    StatusIs(303),
                    HeaderContains("Location", "https://bookshop.example/closed"),
                ),
            ),
        ),
        Channel(
            name="remote-config",
            setting="appsec",
            # The same library without the configuration: blocks with its own status.
            control="appsec",
            stimuli=(
                _order(
                    "status",
                    TEST_SCANNER,
                    "text/html",
                    StatusIs(TEAPOT),
                    HeaderContains("Content-Type", "json"),
                ),
            ),
            configs=(
                RemoteConfig(
                    product="ASM",
                    config_id="blocking-action",
                    content={
                        "actions": [
                            {
                                "id": "block",
                                "type": "block_request",
                                "parameters": {"status_code": TEAPOT, "type": "json"},
                            }
                        ]
                    },
                    undo={"actions": []},
                ),
            ),
        ),
    ),
)
