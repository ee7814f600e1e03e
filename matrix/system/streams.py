"""Standard output and error of a command: harmless, and never the reason why a run ends.

A reader that has ended (`| head`) is no failure: the rest is dropped and the command goes on. A
full disk is one, which `main` reports when the command has ended.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any, TextIO, cast

from matrix.system.visible import harmless, powerless


class SafeStream:
    """A text stream that makes what is written harmless, a line at a time, and drops what fails.

    `styled` lets the escapes of colours through, for a text that is visible already. `failures`
    gets the errors of the file, but none for a reader that has ended. All else is that of `raw`.
    """

    def __init__(self, raw: TextIO, failures: list[OSError], *, styled: bool = False) -> None:
        self.raw = raw
        self.failures = failures
        self._clean = powerless if styled else harmless
        self._line = ""

    def write(self, text: str) -> int:
        """Write the complete lines; the rest waits for its end, or for `flush`."""
        lines, newline, self._line = (self._line + text).rpartition("\n")
        if newline:
            self.exact(self._clean(lines + newline))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write all of the texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what waits, and flush the file."""
        waiting, self._line = self._line, ""
        self.exact(self._clean(waiting))
        with self._surviving():
            self.raw.flush()

    def exact(self, content: str | bytes) -> None:
        """Write the content as it is: of a file, or a line of ours that a CI service obeys."""
        with self._surviving():
            if isinstance(content, str):
                self.raw.write(content)
            else:
                self.raw.flush()
                self.raw.buffer.write(content)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a text stream
        return getattr(self.raw, name)

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.failures.append(error)
            # What waits in the buffers must go somewhere: else it fails again when Python exits.
            with contextlib.suppress(OSError, ValueError):
                number = self.raw.fileno()
                with open(os.devnull, "wb") as null:  # noqa: PTH123 - no path
                    os.dup2(null.fileno(), number)


def screen(stream: TextIO) -> IO[str]:
    """Return the stream for a console that writes colours itself, of text that is visible."""
    if not isinstance(stream, SafeStream):
        return stream
    stream.flush()
    return cast("IO[str]", SafeStream(stream.raw, stream.failures, styled=True))


def write_exactly(content: str | bytes, stream: IO[str] | None = None) -> None:
    """Write the content as it is to a stream, by default standard output."""
    target = cast("TextIO", stream or sys.stdout)
    target.flush()
    if not isinstance(target, SafeStream):
        target = cast("TextIO", SafeStream(target, []))
    cast("SafeStream", target).exact(content)


@contextlib.contextmanager
def safe_output() -> Iterator[list[OSError]]:
    """Make standard output and error safe while the block runs; yield the errors of the output.

    Closed ones are opened as the null device: otherwise a file that is opened gets their number,
    and with it what is printed.
    """
    before = sys.stdout, sys.stderr
    failures: list[OSError] = []
    with contextlib.ExitStack() as opened:
        out, err = (stream or opened.enter_context(_null_file()) for stream in before)
        sys.stdout = cast("TextIO", SafeStream(out, failures))
        sys.stderr = cast("TextIO", SafeStream(err, []))
        try:
            yield failures
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            sys.stdout, sys.stderr = before


def _null_file() -> TextIO:
    """Open the null device, also for all of the first three numbers that are free."""
    number = -1
    while number < 2:  # noqa: PLR2004 - standard error; the lowest free number is given
        number = os.open(os.devnull, os.O_RDWR)
    return os.fdopen(number, "w", encoding="utf-8")
