"""Official images of a registry, by digest for each platform, pulled when they are asked for.

A registry asked for the digests behind a name: OCI distribution, anonymous, bounded.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from matrix.docker.images.digests import (
    DIGEST,
    DigestTable,
    ImageDigest,
    digests_path,
    read_digests,
)
from matrix.docker.images.recipes import ImageTarget, recipes
from matrix.docker.images.source import ImageError, ImageOffer, Tell
from matrix.docker.interface import ContainerEngine, ContainerError, EngineLostError
from matrix.docker.platforms import VARIABLE, reference
from matrix.model.reason import Reason

__all__ = ["VARIABLE", "RegistryError", "RegistrySource", "digests_of", "place_of", "reference"]

_SECONDS = 600.0
# What engines say where a registry is not reached at all: the next image would meet the same.
_UNREACHED = ("no such host", "connection refused", "timeout", "unreachable", "deadline exceeded")


class RegistrySource:
    """The official images, or what a mirror has under their names."""

    name = "registry"
    rank = 10

    def __init__(self, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._file = file or digests_path()
        self._environ = environ
        self._away = ""

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:  # noqa: ARG002 - as the seam has it
        """Return an offer for each image that is wanted, on each target."""
        digests = read_digests(self._file)
        known = {(image.python, image.platform): image for image in digests.images}
        return tuple(
            self._offer(python, target, known.get((python, target.platform)), digests)
            for python in digests.wanted.pythons
            for target in recipes().targets
        )

    def provide(self, offer: ImageOffer, engine: ContainerEngine, tell: Tell) -> tuple[str, str]:
        """Pull the image. Raises ImageError, EngineLostError.

        A registry that was not reached once is not asked again in this run.
        """
        if self._away:
            raise ImageError(Reason.NO_IMAGE, f"the registry does not answer ({self._away})")
        tell(f"{offer.name} for {offer.platform}: pulling")
        try:
            image = engine.pull(offer.key, offer.platform, _SECONDS)
        except EngineLostError:
            raise
        except ContainerError as error:
            held = engine.image(offer.key)
            wrong = held is not None and held.platform != offer.platform
            reason = Reason.WRONG_IMAGE if wrong else Reason.NO_IMAGE
            self._away = next((each for each in _UNREACHED if each in str(error).lower()), "")
            raise ImageError(reason, str(error)) from error
        return image, offer.key.partition("@")[2]

    def _offer(
        self, python: str, target: ImageTarget, known: ImageDigest | None, digests: DigestTable
    ) -> ImageOffer:
        wanted = digests.wanted
        name = known.name if known else wanted.name.format(python=python)
        repository = name.rpartition(":")[0] or name
        return ImageOffer(
            source=self.name,
            name=name,
            python=python,
            target=target.name,
            platform=target.platform,
            key=f"{reference(repository, self._environ)}@{known.digest}" if known else "",
            executable=wanted.executable,
            site=wanted.site.format(python=python),
            obstacle="" if known else "its digest is not known",
            remedy="" if known else "nox -s images -- refresh",
        )


_TIMEOUT = (10.0, 20.0)
# For one whole answer, however slowly it comes.
_WHOLE_SECONDS = 60.0
_MAX_BYTES = 4 * 2**20
_CHUNK = 2**16
_LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_UNAUTHORIZED = 401


class RegistryError(Exception):
    """The registry could not be asked, or its answer makes no sense."""


def place_of(name: str, default: str) -> tuple[str, str, str]:
    """Return the registry's address, the repository and the tag of an image's name.

    The first part is a host where it could be no folder; else the registry is `default`, and a
    single word is one of its own images: https://pkg.go.dev/github.com/distribution/reference
    """
    path, _, tag = name.rpartition(":")
    if not path or "/" in tag:
        path, tag = name, "latest"
    host, _, rest = path.partition("/")
    if not rest or not ("." in host or ":" in host or host == "localhost"):
        return default, path if rest else f"library/{path}", tag
    return f"{'http' if _is_loopback(host) else 'https'}://{host}", rest, tag


def digests_of(address: str, repository: str, tag: str) -> dict[str, str]:
    """Return the digest for each platform (`linux/386`) that a tag has. Raises RegistryError."""
    url = f"{address}/v2/{repository}/manifests/{tag}"
    with requests.Session() as session:
        session.trust_env = True
        status, headers, body = _get(session, url, {"Accept": ", ".join(_LISTS)})
        if status == _UNAUTHORIZED:
            token = _token(session, headers.get("WWW-Authenticate", ""), repository)
            wanted = {"Accept": ", ".join(_LISTS), "Authorization": f"Bearer {token}"}
            status, headers, body = _get(session, url, wanted)
    if status != requests.codes.ok:
        raise RegistryError(f"{url}: HTTP {status}{_reason(body)}")
    document = _json(url, body)
    kind = document.get("mediaType") or headers.get("Content-Type", "").partition(";")[0]
    if kind not in _LISTS:
        raise RegistryError(f"{url}: it is no list of platforms, but {kind or 'nothing known'}")
    return _platforms(url, document)


def _platforms(url: str, document: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        for entry in document["manifests"]:
            platform = entry.get("platform", {})
            system, cpu = platform.get("os"), platform.get("architecture")
            variant = platform.get("variant", "")
            if not system or not cpu or system == "unknown":
                continue  # attestations have no platform
            if not DIGEST.fullmatch(entry["digest"]):
                raise RegistryError(f"{url}: {str(entry['digest'])[:80]!r} is no digest")
            # 64-bit ARM has one variant, which is said or not.
            name = f"{system}/{cpu}" + (f"/{variant}" if variant and cpu != "arm64" else "")
            found.setdefault(name, entry["digest"])
    except (AttributeError, KeyError, TypeError) as error:
        raise RegistryError(f"{url}: its list of platforms makes no sense") from error
    return found


def _token(session: requests.Session, challenge: str, repository: str) -> str:
    """Return a token for reading, from where the challenge sends us."""
    scheme, _, rest = challenge.partition(" ")
    fields = dict(_FIELD.findall(rest))
    realm = fields.get("realm", "")
    parts = urlsplit(realm)
    safe = parts.scheme == "https" or _is_loopback(parts.netloc)
    if scheme.lower() != "bearer" or not safe:
        raise RegistryError("the registry wants a login of a kind that is not known here")
    asked = {"scope": fields.get("scope") or f"repository:{repository}:pull"}
    if "service" in fields:
        asked["service"] = fields["service"]
    status, _, body = _get(session, realm, {}, asked)
    if status != requests.codes.ok:
        raise RegistryError(f"{realm}: HTTP {status}{_reason(body)}")
    said = _json(realm, body)
    token = said.get("token") or said.get("access_token")
    if not isinstance(token, str) or not token.isprintable():
        raise RegistryError(f"{realm}: it gives no token")
    return token


def _get(
    session: requests.Session,
    url: str,
    headers: Mapping[str, str],
    parameters: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, str], bytes]:
    deadline = time.monotonic() + _WHOLE_SECONDS
    body = bytearray()
    try:
        with session.get(
            url,
            headers={**headers, "User-Agent": "compat-matrix"},
            params=parameters,
            timeout=_TIMEOUT,
            stream=True,
        ) as got:
            for chunk in got.iter_content(_CHUNK):
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise RegistryError(f"{url}: the answer is longer than {_MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise RegistryError(f"{url}: no whole answer within {_WHOLE_SECONDS:g} s")
            return got.status_code, got.headers, bytes(body)
    except requests.RequestException as error:
        raise RegistryError(f"{url}: {_short(error)}") from error


def _short(error: Exception) -> str:
    """Return the innermost cause: what is around it only repeats the address."""
    cause: BaseException = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    reason = getattr(cause, "reason", None)
    return str(reason or cause).rpartition(": ")[2] or type(error).__name__


def _json(url: str, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise RegistryError(f"{url}: the answer is not JSON") from error
    if not isinstance(document, dict):
        raise RegistryError(f"{url}: the answer makes no sense")
    return document


def _reason(body: bytes) -> str:
    """Return what the registry says is wrong, where it says it as the specification has it."""
    try:
        message = json.loads(body)["errors"][0]["message"]
    except (ValueError, KeyError, IndexError, TypeError):
        return ""
    return f" ({str(message)[:200]})"


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
