"""Back ends: the servers that an experiment needs beside the app."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Sequence


class ServiceKind(str, enum.Enum):
    """The kind of a back end.

    A `server` is the product itself, a `simulator` a third-party program that behaves like it, a
    `stub` a program of this project that implements just enough of its protocol.
    """

    SERVER = "server"
    SIMULATOR = "simulator"
    STUB = "stub"


@dataclasses.dataclass(frozen=True)
class ServiceIdentity:
    """The identity of a running service: its name here, and the version that it reports.

    `version` is the program's own text (`PostgreSQL 15.14`), `source` where it came from
    (`given`, `program`, `package`, `stub`, `container`).
    """

    name: str
    kind: ServiceKind
    version: str
    source: str

    @property
    def backend(self) -> Backend:
        """Return the back end as captures have it."""
        return Backend(self.name, self.kind, self.version)

    def __str__(self) -> str:
        return str(self.backend)


@dataclasses.dataclass(frozen=True)
class Backend:
    """A service that a cell could use; captures have it as its `str`, which `parse` reads."""

    name: str
    kind: ServiceKind
    version: str

    @classmethod
    def parse(cls, text: str) -> Backend:
        """Return the back end that captures have as `text`."""
        name, _, version = text.partition(": ")
        for kind in (ServiceKind.SIMULATOR, ServiceKind.STUB):
            if version.endswith(end := f" (a {kind.value})"):
                return cls(name, kind, version.removesuffix(end))
        return cls(name, ServiceKind.SERVER, version)

    def __str__(self) -> str:
        if self.kind is ServiceKind.SERVER:
            return f"{self.name}: {self.version}"
        return f"{self.name}: {self.version} (a {self.kind.value})"

    @property
    def description(self) -> str:
        """Return the words that follow "against" in a sentence."""
        if self.kind is ServiceKind.SERVER:
            return self.version
        if self.kind is ServiceKind.SIMULATOR:
            return f"a simulator ({self.version.replace('==', ' ')})"
        return f"a stub ({self.name})"


@dataclasses.dataclass(frozen=True)
class PortForward:
    """A Unix socket outside that leads to a port of the service.

    Where `port` is not 0, clients must reach it at this port, as the service announces its own
    address (the nodes of a cluster).
    """

    path: str
    port: int = 0


@dataclasses.dataclass(frozen=True)
class Service:
    """A running service, and how a cell connects to it. Picklable.

    `url` is a template of `{user}`, `{password}`, `{host}`, `{port}`, `{database}`, `{ports}`.
    `secret` is set where the password is the user's own and must not be stored.
    """

    identity: ServiceIdentity
    forwards: tuple[PortForward, ...]
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    database: str = ""
    url: str = ""
    secret: bool = False

    def variables(self, ports: Sequence[int]) -> dict[str, str]:
        """Return the variables with its address for an app: `BOOKSHOP_<NAME>_HOST` and so on.

        `ports` are those that the app sees, one for each of `forwards`.
        """
        words = {
            "host": "127.0.0.1",
            "port": str(ports[0]),
            "ports": ",".join(map(str, ports)),
            "user": self.user,
            "password": self.password,
            "database": self.database,
        }
        words["url"] = self.url.format_map(words)
        prefix = f"BOOKSHOP_{self.identity.name.upper().replace('-', '_')}"
        return {f"{prefix}_{name.upper()}": word for name, word in words.items() if word}


def against(backends: Iterable[Backend]) -> str:
    """Return a sentence that names the back ends, "" where there are none.

    `Against PostgreSQL 15.18, a stub (consul).`
    """
    names = dict.fromkeys(backend.description for backend in backends)
    return f"Against {', '.join(names)}." if names else ""
