"""Run a container to its end: bounded in time and in what it may say."""

from __future__ import annotations

import contextlib
import threading
import time

from matrix.containers.docker_container import DockerContainer
from matrix.containers.frames import OUT
from matrix.containers.seam import ContainerError, EngineLostError, Ran

__all__ = ["MOST", "run_to_end"]

MOST = 64 * 1024**2
"""How many bytes a container may write; one that writes more is killed."""


def run_to_end(container: DockerContainer, seconds: float, given: bytes) -> Ran:
    """Give it its input, take its output, tell how it ended; remove it in any case.

    Raises ContainerError where it writes too much, EngineLostError where its end is not known.
    """
    deadline = time.monotonic() + seconds
    with container:
        writer = threading.Thread(target=_write, args=(container, given), daemon=True)
        writer.start()
        try:
            out, err, timed_out = _read(container, deadline)
            if timed_out:
                container.remove()
            state = container.state()
        finally:
            container.pipe.close()
            writer.join()
    if timed_out:
        return Ran(_code(state.code, 137), out, err, timed_out=True, oom=state.oom)
    if state.code is None:
        raise EngineLostError("a container is gone, and the engine does not say how it ended")
    return Ran(state.code, out, err, oom=state.oom)


def _code(known: int | None, otherwise: int) -> int:
    return otherwise if known is None else known


def _write(container: DockerContainer, given: bytes) -> None:
    with contextlib.suppress(OSError):  # it need not read all of it
        if given:
            container.pipe.write(given)
    container.pipe.end_input()


def _read(container: DockerContainer, deadline: float) -> tuple[bytes, bytes, bool]:
    out, err = bytearray(), bytearray()
    while True:
        try:
            pieces = container.pipe.pieces(deadline)
        except TimeoutError:
            return bytes(out), bytes(err), True
        except OSError as error:
            raise EngineLostError(f"reading a container's output: {error}") from error
        if pieces is None:
            return bytes(out), bytes(err), False
        for stream, piece in pieces:
            (out if stream == OUT else err).extend(piece)
        if len(out) + len(err) > MOST:
            raise ContainerError(f"a container wrote more than {MOST} bytes")
