"""The few calls to a cluster that cells need, through the official client, with plain JSON objects.

https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubernetes.client import AuthorizationV1Api, CoreV1Api, VersionApi
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from matrix.kubernetes.interface import KubernetesError, KubernetesLostError, Manifest

# For a connection, and for an answer.
_SECONDS = (5.0, 30.0)
_WATCH_SECONDS = 60
_DELAY_SECONDS = 0.5
# Between two watches, of which a proxy may end each at once.
_PAUSE_SECONDS = 0.1
_LONGEST_DELAY = 8.0
_OK, _ERRORS, _SERVER_ERRORS = 200, 400, 500
_NOT_FOUND, _CONFLICT, _TOO_MANY = 404, 409, 429
_BACKGROUND = "Background"


class Cluster:
    """A cluster. All methods raise KubernetesError, and KubernetesLostError without an answer.

    Calls that get no answer, or one of an overloaded or failing server, are repeated for
    `patience` seconds. To create what exists, or to delete what does not, is no error: the call
    before, whose answer was lost, did it.
    """

    def __init__(self, api_client: Any, context: str, patience: float = 30.0) -> None:  # noqa: ANN401 - untyped
        self.context = context
        self._client = api_client
        # Its methods return other things than their types say, as bodies are not read there.
        self._api: Any = CoreV1Api(api_client)
        self._patience = patience

    def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(Exception):
            self._client.close()

    def version(self) -> str:
        """Return the version of the API server, such as `v1.34.1`."""
        answer = self._json("version", VersionApi(self._client).get_code)
        return str(answer.get("gitVersion", ""))

    def may(self, verb: str, resource: str, namespace: str = "") -> bool:
        """Return whether the user has a right, such as `create` on `pods` or on `pods/log`.

        An answer says nothing about quotas and admission.
        """
        name, _, part = resource.partition("/")
        attributes = {"verb": verb, "resource": name, "subresource": part, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        create = AuthorizationV1Api(self._client).create_self_subject_access_review
        answer = self._json(f"whether it may {verb} {resource}", create, review)
        return bool(answer.get("status", {}).get("allowed"))

    def namespaces(self, label: str) -> list[Manifest]:
        """Return the namespaces with a label (`name=value`)."""
        answer = self._json("namespaces", self._api.list_namespace, label_selector=label)
        return list(answer.get("items", ()))

    def create_namespace(self, manifest: Manifest) -> None:
        """Create a namespace."""
        self._create(f"namespace {_name(manifest)}", self._api.create_namespace, manifest)

    def delete_namespace(self, name: str) -> None:
        """Start to delete a namespace with all that is in it."""
        self._delete(f"namespace {name}", self._api.delete_namespace, name)

    def create_config_map(self, namespace: str, manifest: Manifest) -> None:
        """Create a ConfigMap."""
        create = self._api.create_namespaced_config_map
        self._create(f"ConfigMap {_name(manifest)}", create, namespace, manifest)

    def delete_config_map(self, namespace: str, name: str) -> None:
        """Delete a ConfigMap."""
        self._delete(f"ConfigMap {name}", self._api.delete_namespaced_config_map, name, namespace)

    def create_pod(self, namespace: str, manifest: Manifest) -> None:
        """Create a pod."""
        create = self._api.create_namespaced_pod
        self._create(f"pod {_name(manifest)}", create, namespace, manifest)

    def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a pod without a grace period."""
        delete = self._api.delete_namespaced_pod
        self._delete(f"pod {name}", delete, name, namespace, grace_period_seconds=0)

    def find_pod(self, namespace: str, name: str) -> Manifest | None:
        """Return a pod, None where there is none."""
        try:
            return self._json(f"pod {name}", self._api.read_namespaced_pod, name, namespace)
        except KubernetesError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def watch_pod(self, namespace: str, name: str, seconds: float) -> Iterator[Manifest | None]:
        """Yield a pod now and at each of its changes, None once it is gone, for so many seconds.

        A watch that ends or breaks is begun again, as its protocol demands:
        https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
        """
        until = time.monotonic() + seconds
        while (remaining := until - time.monotonic()) > 0:
            pod = self.find_pod(namespace, name)
            yield pod
            if pod is None:
                return
            version = pod.get("metadata", {}).get("resourceVersion", "")
            longest = max(1, min(_WATCH_SECONDS, int(remaining)))
            with contextlib.suppress(ApiException, HTTPError, OSError, ValueError):
                yield from self._changes(namespace, name, version, longest)
            time.sleep(_PAUSE_SECONDS)

    def log(self, namespace: str, pod: str, container: str, *, lines: int | None = None) -> bytes:
        """Return the output of a container, at most the last `lines` of it."""
        options = {} if lines is None else {"tail_lines": lines}
        read = self._api.read_namespaced_pod_log
        return self._call(f"log of {pod}", read, pod, namespace, container=container, **options)

    def _changes(self, namespace: str, name: str, version: str, seconds: int) -> Iterator[Manifest]:
        """Yield a pod at each change after a version of it, until it is gone or the watch ends."""
        response = self._api.list_namespaced_pod(
            namespace,
            field_selector=f"metadata.name={name}",
            resource_version=version,
            timeout_seconds=seconds,
            watch=True,
            _preload_content=False,
            _request_timeout=(_SECONDS[0], seconds + _SECONDS[1]),
        )
        with contextlib.closing(response):
            for line in _lines(response.stream()) if response.status == _OK else ():
                event = json.loads(line)
                if event["type"] in {"ADDED", "MODIFIED"}:
                    yield event["object"]
                elif event["type"] != "BOOKMARK":
                    return  # it is deleted, or its version too old to go on from

    def _create(self, subject: str, create: Callable[..., Any], *arguments: Any) -> None:  # noqa: ANN401
        try:
            self._call(subject, create, *arguments)
        except KubernetesError as error:
            if error.status != _CONFLICT:
                raise

    def _delete(
        self,
        subject: str,
        delete: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401 - of the client
        **options: Any,  # noqa: ANN401
    ) -> None:
        try:
            self._call(subject, delete, *arguments, propagation_policy=_BACKGROUND, **options)
        except KubernetesError as error:
            # 409: it is being deleted already.
            if error.status not in {_NOT_FOUND, _CONFLICT}:
                raise

    def _json(
        self,
        subject: str,
        call: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401 - of the client
        **options: Any,  # noqa: ANN401
    ) -> Manifest:
        data = self._call(subject, call, *arguments, **options)
        try:
            answer = json.loads(data)
        except ValueError as error:
            raise KubernetesError(f"{subject}: the answer is no JSON: {error}") from error
        if not isinstance(answer, dict):
            raise KubernetesError(f"{subject}: the answer is no object")
        return answer

    def _call(
        self,
        subject: str,
        call: Callable[..., Any],
        *arguments: Any,  # noqa: ANN401 - of the client
        **options: Any,  # noqa: ANN401
    ) -> bytes:
        """Return the body of the answer to a call."""
        until = time.monotonic() + self._patience
        delay = _DELAY_SECONDS
        while True:
            try:
                return _body(
                    call(*arguments, **options, _preload_content=False, _request_timeout=_SECONDS)
                )
            except ApiException as error:
                failure, status = f"{subject}: {_describe(error)}", int(error.status or 0)
                # 0: the connection could not be encrypted, which does not change by itself.
                if status != _TOO_MANY and status < _SERVER_ERRORS:
                    raise KubernetesError(failure, status) from error
                wait = _retry_after(error.headers) or delay
            except (HTTPError, OSError) as error:
                failure, status, wait = f"{subject}: {error}", 0, delay
            if time.monotonic() + wait > until:
                raise KubernetesLostError(failure, status)
            time.sleep(wait)
            delay = min(2 * delay, _LONGEST_DELAY)


def _body(response: Any) -> bytes:  # noqa: ANN401 - of the client
    """Return the body of an answer; raise ApiException for an error, as older clients do."""
    data = bytes(response.data)
    if response.status >= _ERRORS:
        raise ApiException(http_resp=response)
    return data


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream as soon as each is complete."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def _describe(error: ApiException) -> str:
    """Return the message of a Status object, or what HTTP has instead."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        if message := json.loads(error.body or "").get("message"):
            return str(message)
    return f"{error.status} {error.reason}"


def _retry_after(headers: Mapping[str, str] | None) -> float:
    with contextlib.suppress(ValueError):
        return min(float((headers or {}).get("Retry-After", 0)), _LONGEST_DELAY)
    return 0.0
