"""Addresses of schedulers, and what to say where Dask is not installed."""

from __future__ import annotations

from matrix.errors import UsageError

__all__ = ["NO_DISTRIBUTED", "checked_address"]

NO_DISTRIBUTED = (
    "It is an optional extra: pip install 'compat-matrix[cluster]'. nox installs it by itself."
)
# https://distributed.dask.org/en/stable/communications.html
_SCHEMES = ("tcp", "tls", "ws", "wss")


def checked_address(address: str) -> str:
    """Return an address of a scheduler as it is; raise UsageError for what is none."""
    scheme, separator, rest = address.partition("://")
    if scheme not in _SCHEMES or not separator or not rest:
        raise UsageError(
            f"{address!r} is no address of a Dask scheduler", "Such as tcp://192.0.2.1:8786"
        )
    return address
