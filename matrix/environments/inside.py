"""What is run in containers so that trees can be made: the programs, and how they are held.

The programs are plain Python 2.7 to 3.14. What they make comes back on standard output, so that it
does not matter whether the engine sees this machine's folders, or whose files would come of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from matrix.containers.seam import (
    Confinement,
    ContainerError,
    ContainerSpec,
    Engine,
    EngineLostError,
    Mount,
    Ran,
)
from matrix.environments.failures import BuildError
from matrix.model.image import Image
from matrix.model.reason import Reason

__all__ = ["BUILD", "COMPILE", "Inside"]

COMPILE = """\
import json, os, py_compile, sys, tarfile, tempfile
try:
    from importlib.util import cache_from_source as place
except ImportError:
    place = lambda path: path + "c"
sources = json.loads(sys.argv[1])
target = sys.argv[2] if sys.argv[2:] else tempfile.mkdtemp()
for number, source in enumerate(sources):
    for folder, _, files in os.walk(source):
        for name in files:
            if not name.endswith(".py"):
                continue
            path = os.path.join(folder, name)
            made = os.path.join(target, str(number), os.path.relpath(place(path), source))
            if not os.path.isdir(os.path.dirname(made)):
                os.makedirs(os.path.dirname(made))
            try:
                py_compile.compile(path, made, os.path.relpath(path, source), True)
            except Exception:  # a file for another Python
                pass
if not sys.argv[2:]:
    out = tarfile.open(fileobj=getattr(sys.stdout, "buffer", sys.stdout), mode="w|")
    out.add(target, ".")
    out.close()
"""
"""Compiles the folders that its first argument lists into numbered ones below its second, or into
a tar file on standard output.
"""

BUILD = """\
import os, subprocess, sys, tempfile
folder = tempfile.mkdtemp()
code = subprocess.call(
    [sys.executable, "-W", "ignore", "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    + ["--no-index", "--no-cache-dir", "--disable-pip-version-check"]
    + ["--wheel-dir", folder, sys.argv[1]],
    stdout=2,
)
if code:
    sys.exit(code)
(name,) = os.listdir(folder)
out = getattr(sys.stdout, "buffer", sys.stdout)
out.write(name.encode("utf-8") + b"\\n")
with open(os.path.join(folder, name), "rb") as made:
    out.write(made.read())
out.flush()
"""
"""Writes the name of the wheel of its argument to standard output, a new line, and the wheel."""

_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - inside
    "TMPDIR": "/tmp",  # noqa: S108
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Inside:
    """Runs the interpreter of an image to its end, as confined as a cell is."""

    def __init__(self, engine: Engine | None, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds

    def run(
        self,
        image: Image,
        arguments: Sequence[str],
        *,
        mounts: tuple[Mount, ...],
        confinement: Confinement,
    ) -> Ran:
        """Return how it ended; raise BuildError where it was not run, not in time, or failed for
        want of memory.
        """
        if self._engine is None:
            raise BuildError(Reason.ENGINE_LOST, "no container engine is at hand to run an image")
        spec = ContainerSpec(
            image=image.id,
            platform=image.platform,
            argv=(*image.launch, image.executable, *arguments),
            environment={**_ENVIRONMENT, **dict(image.environment)},
            mounts=mounts,
            confinement=confinement,
        )
        try:
            ran = self._engine.run(spec, self._seconds)
        except EngineLostError as error:
            raise BuildError(Reason.ENGINE_LOST, str(error)) from error
        except ContainerError as error:
            raise BuildError(Reason.CONTAINER_LOST, str(error)) from error
        if ran.timed_out:
            said = f"a container of {image.name} took longer than {self._seconds:g} s"
            raise BuildError(Reason.TIMED_OUT, said, ran.err.decode("utf-8", "replace"))
        if ran.oom and ran.code != 0:
            # What failed then, a compiler mostly, did not do so for its own reasons.
            said = f"{confinement.memory >> 20} MiB did not suffice in a container of {image.name}"
            raise BuildError(Reason.OUT_OF_MEMORY, said, ran.err.decode("utf-8", "replace"))
        return ran
