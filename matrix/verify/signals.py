"""Ctrl-C, SIGTERM and Ctrl-Break: the first ends the run softly, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from matrix.errors import ExitCode

__all__ = ["stopping"]


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first Ctrl-C or SIGTERM, and leave at the next.

    The workers see their lifeline end and kill what they have started, so leaving leaves nothing.
    """
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(ExitCode.INTERRUPTED)
        asked = True
        # Not `print`: the handler may interrupt one.
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _SAID)
        stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)  # Ctrl-Break, also what a runner sends to end a job
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SAID = b"\nstopping: what is done is kept (again: leave at once)\n"
