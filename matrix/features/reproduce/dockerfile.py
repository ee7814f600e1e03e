"""Write the folder of `reproduce --dockerfile`, from which Docker builds a cell.

This needs neither a container engine nor an image: without an image, the files are chosen for what
every official image has.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.images.recipes import read_recipes
from matrix.docker.images.registry import digests_path, read_digests
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.environments.download import ChosenFile
from matrix.environments.image_trees import TreeStore
from matrix.environments.sdist_wheels import build_requires, tools_for
from matrix.errors import UsageError, storage_errors
from matrix.features.reproduce.bare import bare_requests
from matrix.features.reproduce.docker_context import BaseImage, DockerContext
from matrix.features.reproduce.script import ManualSteps, setting_names
from matrix.model.environment import Image
from matrix.model.plan import PlannedCell
from matrix.probes.registry import load_probes
from matrix.probes.settings import load_settings
from matrix.runs.environments import cell_requirements
from matrix.runs.interface import Report
from matrix.system.paths import apps_dir, cache_dir, fixtures_dir, project_root

# The most bytes of wheels that go into the folder by default.
_MOST_VENDORED = 100 * 2**20
# Enough for the wheels of every release, and no more than the oldest official image has.
_ASSUMED_LIBC = "glibc 2.28"
_NEWEST_PATCH = 99
_FIXTURES = "/cell/fixtures"
_IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
# Settings name the other files; the programs that drive a cell are left out.
_IGNORED_FIXTURES = shutil.ignore_patterns("__pycache__", "*.py*", ".*")


@dataclasses.dataclass(frozen=True)
class WrittenContext:
    """The folder that was written; `size` is that of the vendored files in bytes, or 0."""

    folder: Path
    size: int
    files: int


@dataclasses.dataclass(frozen=True)
class DockerfileOptions:
    """`setting` is the first one in the README; the size decides where `vendor` is None."""

    setting: str = "appsec"
    vendor: bool | None = None
    offline: bool = False


def write_context(
    planned: PlannedCell,
    folder: Path,
    options: DockerfileOptions,
    engine: ContainerEngine | None,
    report: Report,
) -> WrittenContext:
    """Write the folder, which must be new or empty.

    Raises UsageError, StorageError, and BuildError where the files of the cell are not available.
    """
    if not load_settings().get(options.setting).loaded:
        bare_requests(planned, load_probes())
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} exists and is not empty", "Pass a folder that does not exist yet."
        )
    all_probes, settings = load_probes(), load_settings()
    probes = [all_probes[name] for name in planned.probes if name in all_probes]
    names = setting_names(probes)
    image = _image(planned, engine)
    store = TreeStore(cache_dir(), engine=engine, offline=options.offline)
    files = store.files(image, cell_requirements(planned, all_probes))
    paths = store.fetch(files)
    tools = _tools(store, image, files, paths)
    size = sum(path.stat().st_size for path in paths)
    vendored = size <= _MOST_VENDORED if options.vendor is None else options.vendor
    if options.vendor is None and not vendored:
        report(
            f"{size >> 20} MB of wheels are left to the index; --vendor puts them into the folder"
        )
    context = DockerContext(
        steps=ManualSteps(
            planned=planned,
            probes=probes,
            settings={name: {} for name in names},
            folder=Path(),
            project=project_root(),
            python=Path(sys.executable),
        ),
        image=image,
        base=_base(image, engine),
        files=files,
        tools=tools,
        vendored=vendored,
        common=_templates(settings.base),
        settings={
            name: _templates(settings.get(name).environment)
            for name in dict.fromkeys([options.setting, *names])
        },
    )
    with storage_errors(f"cannot write {folder}", "Pass a folder that can be written.", brief=True):
        _write(folder, context)
        _copy(store.fetch(tools), folder / "tools")
        if vendored:
            _copy(paths, folder / "wheels")
    return WrittenContext(folder, size if vendored else 0, len(files))


def _image(planned: PlannedCell, engine: ContainerEngine | None) -> Image:
    """Return the image that the cell runs in here, else one like the official images."""
    cell = planned.cell
    if engine is not None:
        with contextlib.suppress(ContainerError):
            image = ImageCatalog(engine, cache_dir()).find(cell.python, cell.target)
            if image is not None:
                return image
    for target in read_recipes().targets:
        if target.name == cell.target:
            return Image(
                *("", "", "an official image", "registry", target.platform, target.name),
                python=f"{cell.python}.{_NEWEST_PATCH}",
                build="",
                libc=_ASSUMED_LIBC,
                executable=f"/usr/local/bin/python{cell.python}",
                site=f"/usr/local/lib/python{cell.python}/site-packages",
                launch=target.launch,
            )
    raise UsageError(
        f"there is no image for {cell.target}",
        f"--dockerfile is for {', '.join(target.name for target in read_recipes().targets)}.",
    )


def _base(image: Image, engine: ContainerEngine | None) -> BaseImage:
    digests = read_digests(digests_path())
    local_id = image.id if engine is not None and image.source not in ("", "registry") else ""
    for base in digests.images:
        if (base.python, base.platform) == (image.minor, image.platform):
            return BaseImage(base.name, base.digest, local_id)
    return BaseImage(digests.pattern.name.format(python=image.minor), "", local_id)


def _tools(
    store: TreeStore, image: Image, files: Sequence[ChosenFile], paths: Sequence[Path]
) -> tuple[ChosenFile, ...]:
    """Return pip first, then what builds the source distributions among the files."""
    sources = [(file, path) for file, path in zip(files, paths, strict=True) if not file.is_wheel]
    requires = sorted({item for _, path in sources for item in build_requires(path)})
    newest = max((file.uploaded for file, _ in sources), default="")
    files_of_tools = store.files(image, tools_for(image.minor, newest, requires))
    tools = sorted(files_of_tools, key=lambda file: (file.name != "pip", file.name))
    if not tools or tools[0].name != "pip":
        raise UsageError("the build tools have no pip", "See data/build_tools.toml.")
    return tuple(tools) if sources else (tools[0],)


def _templates(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value.replace("{data}", _FIXTURES) for name, value in environment.items()}


def _write(folder: Path, context: DockerContext) -> None:
    for name, text in context.texts().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    shutil.copytree(apps_dir(), folder / "apps", ignore=_IGNORED)
    shutil.copytree(fixtures_dir() / "cell", folder / "fixtures", ignore=_IGNORED_FIXTURES)
    package, agent = project_root() / "matrix", folder / "agent" / "matrix"
    for part in ("agent", "model"):
        shutil.copytree(package / part, agent / part, ignore=_IGNORED)
    _copy([package / "__init__.py"], agent)


def _copy(paths: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)
