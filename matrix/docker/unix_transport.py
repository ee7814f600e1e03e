"""POSIX only: connections to an engine's Unix socket that are closed when connecting fails.

docker-py leaves the socket of a failed attempt to the garbage collector.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

if sys.platform == "win32":
    raise ImportError("POSIX only: there are no Unix sockets")

from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool


class _Connection(UnixHTTPConnection):
    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:  # noqa: ANN401
        seconds: Any = self.timeout
        return _Connection(self.base_url, self.socket_path, seconds)


class UnixAdapter(UnixHTTPAdapter):
    """docker-py's adapter with the connections above."""

    def get_connection(self, url: Any, proxies: Any = None) -> _Pool:  # noqa: ANN401, ARG002
        """Return the connection pool of an address."""
        with self.pools.lock:
            pool: _Pool | None = self.pools.get(url)
            if pool is None:
                pool = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
            return pool
