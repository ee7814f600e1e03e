"""Official images of a registry, pulled by their digests, and the client that fetches digests.

The client is anonymous and limits the size and the time of every response.

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
    DIGEST_PATTERN,
    DigestTable,
    ImageDigest,
    digests_path,
    read_digests,
)
from matrix.docker.images.interface import ImageError, ImageOffer, ReportLine
from matrix.docker.images.recipes import ImageTarget, read_recipes
from matrix.docker.interface import ContainerEngine, ContainerError, EngineLostError
from matrix.docker.platforms import registry_reference
from matrix.model.reason import Reason

_PULL_SECONDS = 600.0
_CONNECT_AND_READ_SECONDS = (10.0, 20.0)
_RESPONSE_SECONDS = 60.0
_MAX_BYTES = 4 * 2**20
_CHUNK = 2**16
# Parts of engines' errors for an unreachable registry: the next image would fail, too.
_UNREACHABLE = ("no such host", "connection refused", "timeout", "unreachable", "deadline exceeded")
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CHALLENGE_FIELD = re.compile(r'(\w+)="([^"]*)"')


class RegistrySource:
    """The official images, or a mirror's images of their names."""

    name = "registry"
    rank = 10

    def __init__(self, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._file = file or digests_path()
        self._environ = environ
        self._unreachable = ""

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:  # noqa: ARG002 - as in the interface
        """Return an offer for each official image and target."""
        digests = read_digests(self._file)
        images = {(image.python, image.platform): image for image in digests.images}
        return tuple(
            self._offer(python, target, images.get((python, target.platform)), digests)
            for python in digests.pattern.pythons
            for target in read_recipes().targets
        )

    def provide(
        self, offer: ImageOffer, engine: ContainerEngine, report: ReportLine
    ) -> tuple[str, str]:
        """Pull the image. Raises ImageError, EngineLostError.

        A registry that was unreachable once is not tried again in this run.
        """
        if self._unreachable:
            detail = f"the registry does not answer ({self._unreachable})"
            raise ImageError(Reason.NO_IMAGE, detail)
        report(f"{offer.name} for {offer.platform}: pulling")
        try:
            image = engine.pull(offer.key, offer.platform, _PULL_SECONDS)
        except EngineLostError:
            raise
        except ContainerError as error:
            info = engine.image(offer.key)
            wrong = info is not None and info.platform != offer.platform
            reason = Reason.WRONG_IMAGE if wrong else Reason.NO_IMAGE
            message = str(error).lower()
            self._unreachable = next((text for text in _UNREACHABLE if text in message), "")
            raise ImageError(reason, str(error)) from error
        return image, offer.key.partition("@")[2]

    def _offer(
        self, python: str, target: ImageTarget, image: ImageDigest | None, digests: DigestTable
    ) -> ImageOffer:
        pattern = digests.pattern
        name = image.name if image else pattern.name.format(python=python)
        repository = name.rpartition(":")[0] or name
        reference = registry_reference(repository, self._environ)
        return ImageOffer(
            source=self.name,
            name=name,
            python=python,
            target=target.name,
            platform=target.platform,
            key=f"{reference}@{image.digest}" if image else "",
            executable=pattern.executable,
            site=pattern.site.format(python=python),
            obstacle="" if image else "unknown digest",
            remedy="" if image else "nox -s images -- refresh",
        )


class RegistryError(Exception):
    """The registry does not answer, or its response is invalid."""


def parse_image_name(name: str, default: str) -> tuple[str, str, str]:
    """Return the registry's address, the repository and the tag of an image's name.

    The first part is a host where it cannot be a folder; else the registry is `default`, and a
    single word is one of its own images: https://pkg.go.dev/github.com/distribution/reference
    """
    path, _, tag = name.rpartition(":")
    if not path or "/" in tag:
        path, tag = name, "latest"
    host, _, rest = path.partition("/")
    if not rest or not ("." in host or ":" in host or host == "localhost"):
        return default, path if rest else f"library/{path}", tag
    return f"{'http' if _is_loopback(host) else 'https'}://{host}", rest, tag


def fetch_digests(
    address: str, repository: str, tag: str, *, max_bytes: int = _MAX_BYTES
) -> dict[str, str]:
    """Return the digests of a tag by platform (`linux/386`). Raises RegistryError."""
    url = f"{address}/v2/{repository}/manifests/{tag}"
    accept = {"Accept": ", ".join(_INDEX_TYPES)}
    with requests.Session() as session:
        session.trust_env = True
        status, headers, body = _get(session, url, accept, max_bytes=max_bytes)
        if status == requests.codes.unauthorized:
            token = _fetch_token(session, headers.get("WWW-Authenticate", ""), repository)
            accept["Authorization"] = f"Bearer {token}"
            status, headers, body = _get(session, url, accept, max_bytes=max_bytes)
    if status != requests.codes.ok:
        raise RegistryError(f"{url}: HTTP {status}{_error_message(body)}")
    document = _parse_json(url, body)
    kind = document.get("mediaType") or headers.get("Content-Type", "").partition(";")[0]
    if kind not in _INDEX_TYPES:
        raise RegistryError(f"{url}: not a list of platforms, but {kind or 'of unknown type'}")
    return _parse_platforms(url, document)


def _parse_platforms(url: str, document: Mapping[str, Any]) -> dict[str, str]:
    digests: dict[str, str] = {}
    try:
        for entry in document["manifests"]:
            platform = entry.get("platform", {})
            system, cpu = platform.get("os"), platform.get("architecture")
            variant = platform.get("variant", "")
            if not system or not cpu or system == "unknown":
                continue  # attestations have no platform
            if not DIGEST_PATTERN.fullmatch(entry["digest"]):
                raise RegistryError(f"{url}: invalid digest {str(entry['digest'])[:80]!r}")
            # 64-bit ARM has one variant, which is optional.
            name = f"{system}/{cpu}" + (f"/{variant}" if variant and cpu != "arm64" else "")
            digests.setdefault(name, entry["digest"])
    except (AttributeError, KeyError, TypeError) as error:
        raise RegistryError(f"{url}: invalid list of platforms") from error
    return digests


def _fetch_token(session: requests.Session, challenge: str, repository: str) -> str:
    """Return a token for reading from the server that a challenge names."""
    scheme, _, rest = challenge.partition(" ")
    fields = dict(_CHALLENGE_FIELD.findall(rest))
    realm = fields.get("realm", "")
    parts = urlsplit(realm)
    secure = parts.scheme == "https" or _is_loopback(parts.netloc)
    if scheme.lower() != "bearer" or not secure:
        raise RegistryError("the registry requires an unsupported kind of login")
    parameters = {"scope": fields.get("scope") or f"repository:{repository}:pull"}
    if "service" in fields:
        parameters["service"] = fields["service"]
    status, _, body = _get(session, realm, {}, parameters)
    if status != requests.codes.ok:
        raise RegistryError(f"{realm}: HTTP {status}{_error_message(body)}")
    document = _parse_json(realm, body)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token.isprintable():
        raise RegistryError(f"{realm}: no token in the response")
    return token


def _get(
    session: requests.Session,
    url: str,
    headers: Mapping[str, str],
    parameters: Mapping[str, str] | None = None,
    *,
    max_bytes: int = _MAX_BYTES,
) -> tuple[int, Mapping[str, str], bytes]:
    deadline = time.monotonic() + _RESPONSE_SECONDS
    body = bytearray()
    try:
        with session.get(
            url,
            headers={**headers, "User-Agent": "compat-matrix"},
            params=parameters,
            timeout=_CONNECT_AND_READ_SECONDS,
            stream=True,
        ) as response:
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > max_bytes:
                    raise RegistryError(f"{url}: the response is longer than {max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise RegistryError(f"{url}: no complete response in {_RESPONSE_SECONDS:g} s")
            return response.status_code, response.headers, bytes(body)
    except requests.RequestException as error:
        raise RegistryError(f"{url}: {_innermost_cause(error)}") from error


def _innermost_cause(error: Exception) -> str:
    """Return the innermost error's message: the outer ones only repeat the address."""
    cause: BaseException = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    reason = getattr(cause, "reason", None)
    return str(reason or cause).rpartition(": ")[2] or type(error).__name__


def _parse_json(url: str, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise RegistryError(f"{url}: the response is not JSON") from error
    if not isinstance(document, dict):
        raise RegistryError(f"{url}: the response is not a JSON object")
    return document


def _error_message(body: bytes) -> str:
    """Return the registry's error message in parentheses, "" where there is none."""
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
