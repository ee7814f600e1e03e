"""Refresh of digests from a registry, by an anonymous client.

The client limits the size and the time of every response.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import datetime as dt
import ipaddress
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from matrix.docker.images.recipes import read_recipes
from matrix.docker.images.registry import DIGEST_PATTERN, DigestTable, ImageDigest
from matrix.docker.platforms import registry_reference

_CONNECT_AND_READ_SECONDS = (10.0, 20.0)
_RESPONSE_SECONDS = 60.0
_MAX_BYTES = 4 * 2**20
_CHUNK = 2**16
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_CHALLENGE_FIELD = re.compile(r'(\w+)="([^"]*)"')


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


_WORKERS = 4

FetchDigests = Callable[[str, str, str], Mapping[str, str]]
"""Fetches digests by platform, given a registry's address, a repository and a tag."""


@dataclasses.dataclass(frozen=True)
class DigestRefresh:
    """`digests` are the new ones and the old ones that stay; `new` counts those that changed.

    `failures` has a message for each image that could not be fetched, `absent` one for each
    platform that an image lacks; `answered` counts the images that were fetched.
    """

    digests: DigestTable
    new: int
    answered: int
    failures: tuple[str, ...]
    absent: tuple[str, ...]


def default_registry() -> str:
    """Return the address of an engine's registry for names without a host."""
    import docker.auth  # noqa: PLC0415 - slow to import

    return f"https://{urlsplit(docker.auth.INDEX_URL).netloc}"


def refresh_digests(
    digests: DigestTable,
    environ: Mapping[str, str],
    today: dt.date,
    default: str,
    fetch: FetchDigests = fetch_digests,
) -> DigestRefresh:
    """Fetch the digests of all official images; `default` is the registry if none is configured."""
    pythons = digests.pattern.pythons
    names = [digests.pattern.name.format(python=python) for python in pythons]

    def fetch_image(name: str) -> Mapping[str, str] | str:
        try:
            return fetch(*parse_image_name(registry_reference(name, environ), default))
        except RegistryError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        results = list(pool.map(fetch_image, names))
    before = {(image.python, image.platform): image for image in digests.images}
    images = dict(before)
    failures, absent = [], []
    for python, name, result in zip(pythons, names, results, strict=True):
        if isinstance(result, str):
            failures.append(f"{name}: {result}")
            continue
        for target in read_recipes().targets:
            key = (python, target.platform)
            if target.platform in result:
                images[key] = ImageDigest(*key, name, result[target.platform], today.isoformat())
            else:
                absent.append(f"{name} is not made for {target.platform}")
    return DigestRefresh(
        DigestTable(digests.pattern, tuple(images.values())),
        sum(key not in before or before[key].digest != images[key].digest for key in images),
        len(results) - len(failures),
        tuple(failures),
        tuple(absent),
    )
