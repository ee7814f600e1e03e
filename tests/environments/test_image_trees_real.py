"""Trees from the real index: locks agree with those of this machine, and the trees import."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from helpers.tree_fakes import image

from matrix.docker.connect import connect
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.interface import ContainerEngine, ContainerSpec, Mount
from matrix.docker.labels import lock_run
from matrix.environments.image_trees import TreeStore
from matrix.environments.requirements import requirements_for
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import find_interpreters
from matrix.model.cell import Cell
from matrix.model.environment import Image
from matrix.model.plan import PlannedCell
from matrix.system.paths import cache_dir

DAY = dt.date(2023, 2, 27)
IMPORT = (
    "import ddtrace, {0}, requests, inflection, platform as p;"
    " print('%s %s' % (p.machine(), ddtrace.__file__))"
)


@pytest.mark.index
@pytest.mark.parametrize(
    "cell",
    [
        "cp311-linux_x86_64-flask2.2.3-ddtrace1.8.3",
        "cp311-linux_x86_64-flask2.2.3-ddtrace1.20.19",
        "cp27-linux_x86_64-flask1.1.4-ddtrace1.9.0",
    ],
)
def test_an_image_gets_what_this_machine_gets(cell: str) -> None:
    planned = PlannedCell(Cell.parse(cell), DAY, ())
    interpreters = [item for item in find_interpreters() if item.python == planned.cell.python]
    if not interpreters:
        pytest.skip(f"no CPython {planned.cell.python}")
    local = EnvironmentStore(cache_dir()).resolve(interpreters[0], requirements_for(planned))
    # Nothing is run: this image is in no engine.
    chosen = TreeStore(cache_dir()).files(
        image(python=interpreters[0].version), requirements_for(planned)
    )
    hashes = {line.split()[0]: line for line in local}
    assert {f"{file.name}=={file.version}" for file in chosen} == set(hashes)
    for file in chosen:
        assert file.sha256 in hashes[f"{file.name}=={file.version}"]


@pytest.fixture(scope="module")
def engine() -> Iterator[ContainerEngine]:
    with lock_run() as run, connect(run) as engine:
        yield engine


@pytest.mark.engine
@pytest.mark.parametrize(
    ("cell", "machine"),
    [
        ("cp311-linux_x86_64-flask2.2.3-ddtrace1.9.0", "x86_64"),
        ("cp311-linux_i686-flask2.2.3-ddtrace1.9.0", "i686"),
        ("cp311-linux_i686-flask0.10-ddtrace1.9.0", "i686"),
        ("cp39-linux_i686-django3.2-ddtrace1.9.0", "i686"),
        ("cp27-linux_i686-flask1.1.4-ddtrace1.9.0", "i686"),
        pytest.param(
            *("cp311-linux_aarch64-flask2.2.3-ddtrace1.9.0", "aarch64"), marks=pytest.mark.emulation
        ),
    ],
)
def test_what_is_in_a_tree_is_imported_in_its_image(
    engine: ContainerEngine, cell: str, machine: str
) -> None:
    planned = PlannedCell(Cell.parse(cell), DAY, ())
    catalog = ImageCatalog(engine, cache_dir())
    container_image = catalog.ensure(planned.cell.python, planned.cell.target, lambda _: None)

    def native(python: str) -> Image | None:
        return catalog.find(python, "linux_x86_64")

    environment = TreeStore(cache_dir(), engine=engine, native=native).ensure(
        container_image, requirements_for(planned)
    )
    assert environment.tree is not None
    spec = ContainerSpec(
        image=container_image.id,
        platform=container_image.platform,
        argv=(
            *container_image.launch,
            container_image.executable,
            "-c",
            IMPORT.format(planned.cell.framework),
        ),
        environment={"DD_TRACE_ENABLED": "false", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"},
        mounts=(Mount(environment.tree, container_image.site),),
    )
    result = engine.run(spec, 120)
    assert result.code == 0, result.err.decode()
    reported, file = result.out.decode().split()
    assert reported == machine
    assert file.startswith(f"{container_image.site}/ddtrace/")
