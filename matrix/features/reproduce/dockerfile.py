"""`reproduce --dockerfile`: find out what a cell is made of, and write a folder that builds it.

No container engine is needed for that, and no image: where none is at hand, files are chosen for
what the official images have at least.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.images.digests import digests_path, read_digests
from matrix.docker.images.recipes import read_recipes
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.environments.download import ChosenFile
from matrix.environments.image_trees import TreeStore
from matrix.environments.sdist_wheels import build_requires, tools_for
from matrix.errors import StorageError, UsageError
from matrix.features.reproduce.by_hand import ManualSteps
from matrix.features.reproduce.docker_context import BaseImage, DockerContext
from matrix.model.environment import Image
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.probes.registry import load_probes
from matrix.probes.settings import load_settings
from matrix.runs.environments import cell_requirements
from matrix.system.paths import apps_dir, cache_dir, fixtures_dir, project_root

Say = Callable[[str], None]

_MOST_VENDORED = 100 * 1024 * 1024
# Enough for the wheels of every release, and not more than the oldest official image has.
_ASSUMED_LIBC = "glibc 2.28"
_NEWEST_PATCH = 99
_FIXTURES = "/cell/fixtures"
_AGENT_PARTS = ("__init__.py", "agent", "model")
_LITTER = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
# Files that settings name; what drives a cell from inside stays here.
_FIXTURE_LITTER = shutil.ignore_patterns("__pycache__", "*.py*", ".*")


@dataclasses.dataclass(frozen=True)
class WrittenContext:
    """The folder; `size` is that of the vendored files in bytes, 0 where there are none."""

    folder: Path
    size: int
    files: int


@dataclasses.dataclass(frozen=True)
class DockerfileOptions:
    """`setting` is the one to show first; `vendor` None lets the size decide."""

    setting: str = "appsec"
    vendor: bool | None = None
    offline: bool = False


def write_context(
    planned: PlannedCell,
    folder: Path,
    options: DockerfileOptions,
    engine: ContainerEngine | None,
    say: Say,
) -> WrittenContext:
    """Write the folder, which must be new or empty. Raises UsageError and StorageError.

    A cell whose files cannot be had raises BuildError.
    """
    load_settings().get(options.setting)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there, and not empty", "Name a folder that does not exist yet."
        )
    probes = load_probes()
    image = _image(planned, engine)
    store = TreeStore(cache_dir(), engine, offline=options.offline)
    files = store.files(image, cell_requirements(planned, probes))
    paths = store.fetch(files)
    tools = _tools(store, image, files, paths)
    size = sum(path.stat().st_size for path in paths)
    vendored = size <= _MOST_VENDORED if options.vendor is None else options.vendor
    if options.vendor is None and not vendored:
        say(f"{size >> 20} MB of wheels are left to the index: --vendor takes them along")
    context = DockerContext(
        by_hand=_by_hand(planned, [probes[name] for name in planned.probes if name in probes]),
        image=image,
        base=_base(image, engine),
        files=files,
        tools=tools,
        vendored=vendored,
        common=_templates(load_settings().base),
        settings=_settings(planned, options.setting, probes.values()),
    )
    try:
        _write(folder, context)
        _copy(store.fetch(tools), folder / "tools")
        if vendored:
            _copy(paths, folder / "wheels")
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror}", "Name a folder that can be."
        ) from error
    return WrittenContext(folder, size if vendored else 0, len(files))


def _image(planned: PlannedCell, engine: ContainerEngine | None) -> Image:
    """Return the image that the cell runs in here, else one as the official ones are."""
    cell = planned.cell
    if engine is not None:
        with contextlib.suppress(ContainerError):
            found = ImageCatalog(engine, cache_dir()).find(cell.python, cell.target)
            if found is not None:
                return found
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
        f"no image is for {cell.target}",
        f"--dockerfile is for {', '.join(target.name for target in read_recipes().targets)}.",
    )


def _base(image: Image, engine: ContainerEngine | None) -> BaseImage:
    digests = read_digests(digests_path())
    made_here = image.id if engine is not None and image.source not in ("", "registry") else ""
    for known in digests.images:
        if (known.python, known.platform) == (image.minor, image.platform):
            return BaseImage(known.name, known.digest, made_here)
    return BaseImage(digests.pattern.name.format(python=image.minor), "", made_here)


def _tools(
    store: TreeStore, image: Image, files: Sequence[ChosenFile], paths: Sequence[Path]
) -> tuple[ChosenFile, ...]:
    """Return pip, and what else builds the source distributions among the files."""
    sources = [(file, path) for file, path in zip(files, paths, strict=True) if not file.is_wheel]
    asked = sorted({item for _, path in sources for item in build_requires(path)})
    wanted = tools_for(image.minor, max((file.uploaded for file, _ in sources), default=""), asked)
    found = sorted(store.files(image, wanted), key=lambda file: (file.name != "pip", file.name))
    if not found or found[0].name != "pip":
        raise UsageError("the build tools have no pip", "See data/build_tools.toml.")
    return tuple(found) if sources else (found[0],)


def _by_hand(planned: PlannedCell, probes: Sequence[Probe]) -> ManualSteps:
    return ManualSteps(
        planned=planned,
        probes=probes,
        settings={name: {} for name in _names(probes)},
        folder=Path(),
        project=project_root(),
        python=Path(sys.executable),
    )


def _names(probes: Iterable[Probe]) -> list[str]:
    channels = [channel for probe in probes for channel in probe.channels]
    return sorted({name for item in channels for name in (item.setting, item.control) if name})


def _settings(
    planned: PlannedCell, first: str, probes: Iterable[Probe]
) -> dict[str, dict[str, str]]:
    """Return the variables of each setting that the cell's probes use, the wanted one first."""
    names = _names(probe for probe in probes if probe.name in planned.probes)
    known = load_settings()
    return {
        name: _templates(known.get(name).environment) for name in dict.fromkeys([first, *names])
    }


def _templates(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value.replace("{data}", _FIXTURES) for name, value in environment.items()}


def _write(folder: Path, context: DockerContext) -> None:
    for name, text in context.texts().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    shutil.copytree(apps_dir(), folder / "apps", ignore=_LITTER)
    shutil.copytree(fixtures_dir() / "cell", folder / "fixtures", ignore=_FIXTURE_LITTER)
    package = project_root() / "matrix"
    for part in _AGENT_PARTS:
        source, target = package / part, folder / "agent" / "matrix" / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=_LITTER)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _copy(paths: Iterable[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)
