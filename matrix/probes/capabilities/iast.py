"""Probe of runtime code analysis (IAST): vulnerable code is reported when it runs.

The channel of the capability needs one type that is found without taint tracking. The others are
one channel for each type that the vendor's documentation or the tracer's own code names:
https://docs.datadoghq.com/security/code_security/iast/
No page promises a release for each of them, so they are part of no claim.
"""

from __future__ import annotations

from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.evidence.security import VulnerabilityReported

_SETTING = "iast"
_REDIRECT = 302


def _request(name: str, path: str, *, decisive: bool = True, plain: int | None = None) -> Stimulus:
    evidence = VulnerabilityReported(name.replace("-", "_").upper())
    return Stimulus(
        name=name, path="/{shop}/" + path, evidence=evidence, decisive=decisive, plain=plain
    )


def _channel(name: str, path: str, *, plain: int = 200) -> Channel:
    return Channel(name, _SETTING, (_request(name, path, plain=plain),), claimed=False)


PROBE = Probe(
    name="iast",
    title="Vulnerable code is reported",
    channels=(
        Channel(
            name="environment",
            setting=_SETTING,
            stimuli=(
                _request("weak-hash", "checksum?text=emma"),
                # These require taint tracking: recorded, but not decisive.
                _request("sql-injection", "find?title=Emm", decisive=False),
                _request("path-traversal", "preview?file=emma.txt", decisive=False),
                _request("command-injection", "convert?name=emma", decisive=False),
            ),
        ),
        # Named by the vendor's documentation.
        _channel("sql-injection", "find?title=Emma"),
        _channel("path-traversal", "preview?file=emma.txt"),
        _channel("command-injection", "convert?name=Emma"),
        _channel("ssrf", "supplier?host=127.0.0.1"),
        _channel("header-injection", "shelf?name=Emma"),
        _channel("insecure-cookie", "remember?name=Ada&lacks=secure"),
        _channel("no-httponly-cookie", "remember?name=Ada&lacks=httponly"),
        _channel("no-samesite-cookie", "remember?name=Ada&lacks=samesite"),
        _channel("weak-randomness", "raffle"),
        # Named by the tracer's code only.
        _channel("code-injection", "price?of=2*7"),
        _channel("untrusted-serialization", "unpack?basket=I7%0A."),
        _channel("stacktrace-leak", "trouble"),
        _channel("unvalidated-redirect", "moved?to=https://books.example/", plain=_REDIRECT),
        _channel("xss", "note?text=%3Cb%3E"),
    ),
)
