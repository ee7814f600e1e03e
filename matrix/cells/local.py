"""A sandbox on this machine: processes and folders of ours."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.cells.env_vars import interpreter_environment
from matrix.cells.interface import CommandOutput
from matrix.cells.job import CellJob
from matrix.cells.process import AppProcess
from matrix.system.network import is_isolated, isolation

if TYPE_CHECKING:
    from typing_extensions import Self


class LocalSandbox:
    """Runs a cell with the interpreter and the folders of its job."""

    image = ""
    engine = ""

    def __init__(self, job: CellJob) -> None:
        self.python = job.python
        self.apps = job.apps
        self.fixtures = job.fixtures
        self.isolation, self.isolated = isolation(), is_isolated()
        self._parent = job.scratch
        self._keep = job.keep
        self._scratch: Path | None = None

    @property
    def scratch(self) -> Path:
        """The folder of the cell; it exists while the context is open."""
        assert self._scratch is not None  # noqa: S101 - the context is open
        return self._scratch

    def run(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the environment's interpreter to its end."""
        try:
            finished = subprocess.run(
                [str(self.python), *arguments],
                env=interpreter_environment(self.scratch),
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        out, err = (text.decode("utf-8", "replace") for text in (finished.stdout, finished.stderr))
        return CommandOutput(finished.returncode, out, err)

    def new_slot(self, name: str) -> LocalSlot:
        """Return a slot with a new folder."""
        return LocalSlot(self, Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch)))

    def free_bytes(self) -> int:
        """Return how many bytes of the disk are free."""
        return shutil.disk_usage(self.scratch).free

    def check(self) -> None:
        """Do nothing: if this machine is lost, so is this process."""

    def __enter__(self) -> Self:
        self._scratch = Path(tempfile.mkdtemp(prefix="cell-", dir=self._parent))
        return self

    def __exit__(self, *_: object) -> None:
        if not self._keep:
            shutil.rmtree(self.scratch, ignore_errors=True)


class LocalSlot:
    """A folder; ports need no forwarding."""

    def __init__(self, sandbox: LocalSandbox, scratch: Path) -> None:
        self.sandbox = sandbox
        self.scratch = scratch

    def forward_port(self, port: int, requested: int = 0) -> int:  # noqa: ARG002 - no choice
        """Return the same port: the cell runs on this machine."""
        return port

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> AppProcess:
        """Start an app."""
        return AppProcess(command, environment, self.sandbox.apps, stop=stop)

    def close(self) -> None:
        """Do nothing: no port was forwarded."""
