"""The machine itself as the place of a cell: processes of ours, folders of ours."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from matrix.cells.env_vars import bare_environment
from matrix.cells.job import CellJob
from matrix.cells.process import AppProcess
from matrix.cells.sandbox import CommandOutput
from matrix.system.network import isolation

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LocalSandbox"]


class LocalSandbox:
    """Runs a cell with the interpreter and the folders of its job."""

    image = ""
    engine = ""

    def __init__(self, job: CellJob) -> None:
        self.python = job.python
        self.apps = job.apps
        self.fixtures = job.fixtures
        self.isolation = isolation()
        self._below = job.scratch
        self._keep = job.keep
        self._scratch: Path | None = None

    @property
    def scratch(self) -> Path:
        """The folder of the cell; it is there while the context is open."""
        assert self._scratch is not None  # noqa: S101 - the context is open
        return self._scratch

    def ask(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the environment's interpreter to its end."""
        try:
            asked = subprocess.run(
                [str(self.python), *arguments],
                env=bare_environment(self.scratch),
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        out, err = (part.decode("utf-8", "replace") for part in (asked.stdout, asked.stderr))
        return CommandOutput(asked.returncode, out, err)

    def room(self, name: str) -> LocalSlot:
        """Return a folder of its own for a process."""
        return LocalSlot(self, Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch)))

    def free(self) -> int:
        """Return how much of the disk is free."""
        return shutil.disk_usage(self.scratch).free

    def check(self) -> None:
        """Do nothing: where this machine is lost, so are we."""

    def __enter__(self) -> Self:
        self._scratch = Path(tempfile.mkdtemp(prefix="cell-", dir=self._below))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._keep:
            shutil.rmtree(self.scratch, ignore_errors=True)


class LocalSlot:
    """A folder; the ways out need no help."""

    def __init__(self, place: LocalSandbox, scratch: Path) -> None:
        self.place = place
        self.scratch = scratch

    def reach_out(self, port: int, wanted: int = 0) -> int:  # noqa: ARG002 - there is no choice
        """Return the same port: inside is here."""
        return port

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> AppProcess:
        """Start an app."""
        return AppProcess(command, environment, self.place.apps, stop=stop)

    def close(self) -> None:
        """Nothing is open."""
