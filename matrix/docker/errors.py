"""What docker-py and what it stands on may raise, in the two words of our own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker.errors
import requests
import urllib3.exceptions

from matrix.docker.interface import ContainerError, EngineLostError

__all__ = ["translated"]


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn every failure inside into ContainerError or EngineLostError; `doing` says at what."""
    try:
        yield
    except docker.errors.APIError as error:
        raise ContainerError(f"{doing}: {error.explanation or error}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        # Refused, reset, ended in the middle or silent for too long: it is all the same to us.
        raise EngineLostError(f"{doing}: the engine does not answer ({error})") from error
    except (docker.errors.DockerException, ValueError) as error:
        raise ContainerError(f"{doing}: {error}") from error
