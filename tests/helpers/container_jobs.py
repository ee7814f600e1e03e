"""Jobs of the fake app for containers of the fake engine, and of a real one."""

from __future__ import annotations

import dataclasses
import functools
import platform
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgpack  # type: ignore[import-untyped]
import pytest

from helpers.cell_jobs import LIMITS, fake_job
from helpers.fake_engine import FakeEngine, fake_image
from matrix.cells import container
from matrix.cells.job import CellJob, Limits
from matrix.docker.connect import connect
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.interface import Confinement, ContainerEngine
from matrix.docker.labels import RunLabels
from matrix.model.environment import Image
from matrix.system.paths import cache_dir, fixtures_dir

MEBIBYTE = 1024**2


def in_fake_container(job: CellJob, patch: pytest.MonkeyPatch) -> tuple[CellJob, FakeEngine]:
    """Return the job with an image of a fake engine, whose containers are processes of ours.

    Paths inside are the same as outside.
    """
    scratch = job.scratch or Path()
    for name, path in (("APPS", job.apps), ("FIXTURES", job.fixtures), ("SCRATCH", scratch)):
        patch.setattr(container, name, PurePosixPath(path))
    info = fake_image("fake")
    engine = FakeEngine(info)
    own = _own_identity()
    image = Image(
        id=info.id,
        digest="sha256:the-digest",
        name="fake",
        source="test",
        platform=info.platform,
        target=job.planned.cell.target,
        python=own["python"],
        build=own["build"],
        libc=own["libc"],
        executable=own["executable"],
        site="/nowhere/site-packages",
    )
    job = dataclasses.replace(job, image=image, connect=lambda: engine)
    return job, engine


@functools.cache
def _own_identity() -> dict[str, str]:
    """Return how identity.py describes the interpreter that runs the tests."""
    identity = runpy.run_path(str(fixtures_dir() / "cell" / "identity.py"))
    return {
        "python": platform.python_version(),
        "build": sys.version,
        "libc": identity["libc"](),
        "executable": sys.executable,
    }


def real_image(
    engine: ContainerEngine, target: str = "linux_x86_64", python: str = "3.11"
) -> Image:
    """Return an image of the engine, built if the engine does not have it."""
    return ImageCatalog(engine, cache_dir()).ensure(python, target, lambda _: None)


def in_container(
    folder: Path,
    mode: str,
    image: Image,
    run: RunLabels,
    *,
    limits: Limits = LIMITS,
    memory: int = 256 * MEBIBYTE,
    pids: int = 48,
    factor: float = 1,
) -> CellJob:
    """Return a job of the fake app for a container of the image, confined to small limits."""
    job = fake_job(folder, mode, limits=limits.times(factor))
    tree = folder / "tree"
    assert msgpack.__file__
    shutil.copytree(
        Path(msgpack.__file__).parent,
        tree / "msgpack",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    for path in (folder, job.apps, job.fixtures, tree):
        path.chmod(0o755)
    python = ".".join(image.python.split(".")[:2])
    cell = dataclasses.replace(job.planned.cell, python=python, target=image.target)
    return dataclasses.replace(
        job,
        planned=dataclasses.replace(job.planned, cell=cell),
        image=image,
        tree=tree,
        connect=connecting(run),
        confinement=Confinement(memory=memory, pids=pids, tmp_bytes=64 * MEBIBYTE),
    )


def connecting(run: RunLabels) -> Callable[[], ContainerEngine]:
    """Return a function that connects to the engine; picklable."""
    return functools.partial(connect, run)
