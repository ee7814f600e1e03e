"""Probe of web tracing: request tags, errors, distributed traces, the client's address."""

from __future__ import annotations

from matrix.model.probe import AllOf, Channel, Compared, Evidence, Probe, Stimulus
from matrix.probes.evidence.http import StatusIs, UpstreamReceived
from matrix.probes.evidence.security import Triggered
from matrix.probes.evidence.spans import (
    ContinuesTrace,
    HasRootSpan,
    SpanSeen,
    TagContains,
    TagEquals,
    TagExists,
)

# A public address: private and documentation addresses are ignored.
ADDRESS = "81.2.69.142"


def _request_tags(method: str, status: str) -> Evidence:
    return AllOf(
        HasRootSpan(error=False),
        TagEquals("http.method", method),
        TagEquals("http.status_code", status),
        TagExists("http.url"),
    )


PROBE = Probe(
    name="web-tracing",
    title="Web requests are traced",
    channels=(
        Channel(
            name="request",
            setting="off",
            control="untraced",
            stimuli=(
                Stimulus(
                    name="get",
                    path="/{shop}/books/emma",
                    compared=Compared.ANSWER,
                    plain=200,
                    evidence=_request_tags("GET", "200"),
                ),
                Stimulus(
                    name="post",
                    method="POST",
                    path="/{shop}/reviews",
                    compared=Compared.ANSWER,
                    plain=201,
                    headers=(("Content-Type", "application/x-www-form-urlencoded"),),
                    body="book=emma&text=A+fine+book",
                    evidence=_request_tags("POST", "201"),
                ),
            ),
        ),
        Channel(
            name="error",
            setting="off",
            control="untraced",
            stimuli=(
                Stimulus(
                    name="broken-view",
                    path="/{shop}/broken",
                    compared=Compared.ANSWER,
                    plain=500,
                    evidence=AllOf(
                        StatusIs(500),
                        HasRootSpan(error=True),
                        TagEquals("http.status_code", "500"),
                        SpanSeen(error=True),
                    ),
                ),
            ),
        ),
        Channel(
            name="distributed",
            setting="off",
            control="untraced",
            stimuli=(
                Stimulus(
                    name="incoming-and-outgoing",
                    path="/{shop}/recommendations",
                    # The body is what the other service received.
                    compared=Compared.STATUS,
                    plain=200,
                    headers=(
                        ("x-datadog-trace-id", "{number}"),
                        ("x-datadog-parent-id", "{number}"),
                        ("x-datadog-sampling-priority", "1"),
                    ),
                    evidence=AllOf(
                        ContinuesTrace(),
                        UpstreamReceived("x-datadog-trace-id"),
                        UpstreamReceived("x-datadog-parent-id"),
                    ),
                ),
            ),
        ),
        Channel(
            name="client-address",
            setting="appsec",
            # A page promises the details of an attacker's request: tags of tracing.
            soaked=False,
            stimuli=(
                Stimulus(
                    name="attack-with-address",
                    path="/{shop}/search?q=Emma",
                    plain=200,
                    headers=(
                        ("User-Agent", "Arachni/v1"),
                        ("X-Forwarded-For", ADDRESS),
                        # Some servers drop the first header of an untrusted client.
                        ("X-Real-IP", ADDRESS),
                    ),
                    evidence=AllOf(
                        Triggered(address="server.request.headers"),
                        TagEquals("http.client_ip", ADDRESS),
                        TagContains("http.useragent", "Arachni"),
                    ),
                ),
            ),
        ),
    ),
)
