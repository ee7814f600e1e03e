"""Search for CPythons on this machine: one interpreter per minor and target.

Each module of `sources/` defines one source as `SOURCE`. A source lists candidates without running
them; it must be quick and must not fail where the tool it looks for is absent.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from packaging.version import Version

from matrix.interpreters import sources
from matrix.interpreters.inspect import (
    InterpreterCache,
    InterpreterQuery,
    NotAnInterpreterError,
    build_interpreter,
    host_target,
    is_covered,
    query_interpreter,
)
from matrix.model.environment import Interpreter
from matrix.model.reason import Reason
from matrix.system.paths import cache_dir, home_dir
from matrix.system.source_files import plugins


@dataclasses.dataclass(frozen=True)
class SearchPlaces:
    """The machine as a source sees it: variables, home folder and `sys.platform`."""

    environ: Mapping[str, str]
    home: Path
    platform: str

    @property
    def windows(self) -> bool:
        """Return whether executables are called `.exe` and are beside the library."""
        return self.platform == "win32"


@dataclasses.dataclass(frozen=True)
class InterpreterSource:
    """`name` goes into `Interpreter.source`; of two equal versions the lower `rank` wins."""

    name: str
    rank: int
    candidates: Callable[[SearchPlaces], Iterable[Path]]


@functools.lru_cache(maxsize=1)
def load_sources() -> tuple[InterpreterSource, ...]:
    """Return the source of every module of `sources/`, by rank."""
    loaded = (source for _, source in plugins(sources, "SOURCE"))
    return tuple(sorted(loaded, key=lambda source: (source.rank, source.name)))


_WORKERS = 4


@dataclasses.dataclass(frozen=True)
class InterpreterInventory:
    """Result of a search: one interpreter per minor and target, ascending by minor.

    Of equal minors the one for the target of this process comes first. `problems` are sentences on
    candidates that failed, `passed_over` on places that cannot be read.
    """

    interpreters: tuple[Interpreter, ...]
    problems: tuple[str, ...]
    passed_over: tuple[str, ...] = ()


def find_interpreters() -> tuple[Interpreter, ...]:
    """Return the CPythons of this machine, ascending, one per minor and target (the highest patch).

    The first call runs each candidate; later ones take milliseconds.
    """
    return search().interpreters


def _cache_file() -> Path:
    return cache_dir() / "interpreters.json"


def cache_problem() -> str:
    """Return why the cached answers are not used although there are some, "" where they are."""
    return InterpreterCache(_cache_file()).problem


def search(
    sources: Sequence[InterpreterSource] | None = None,
    query: InterpreterQuery = query_interpreter,
    places: SearchPlaces | None = None,
    cache_file: Path | None = None,
    *,
    target: str = "",
) -> InterpreterInventory:
    """Query each candidate of `sources` once, and choose.

    By default: every source there is, this machine, and answers cached in the cache folder.
    `target` is that of this process, by default the real one.
    """
    if sources is None:
        sources = load_sources()
        cache_file = cache_file or _cache_file()
    if places is None:
        places = SearchPlaces(os.environ, home_dir(), sys.platform)
    target = target or host_target()
    cache = InterpreterCache(cache_file, target)

    def identify(candidate: tuple[Path, InterpreterSource]) -> Interpreter | str | None:
        executable, source = candidate
        try:
            answer = cache.query(executable, query)
            if not is_covered(answer):
                return None
            return build_interpreter(executable, source.name, answer)
        except NotAnInterpreterError as error:
            return f"{executable} ({source.name}): {error}"
        except (KeyError, TypeError, ValueError):
            return f"{executable} ({source.name}): its answer is invalid"

    closed: list[str] = []
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        results = list(pool.map(identify, _candidates(sources, places, closed)))
    cache.save()
    interpreters = [result for result in results if isinstance(result, Interpreter)]
    problems = [result for result in results if isinstance(result, str)]
    return InterpreterInventory(_choose(interpreters, target), tuple(problems), tuple(closed))


def _candidates(
    sources: Iterable[InterpreterSource], places: SearchPlaces, closed: list[str]
) -> list[tuple[Path, InterpreterSource]]:
    """Return existing candidates by rank, each file once however many links lead to it.

    A source that cannot be read is passed over from there on, with a sentence in `closed`.
    """
    chosen: dict[Path, tuple[Path, InterpreterSource]] = {}
    for source in sorted(sources, key=lambda source: (source.rank, source.name)):
        for path in _programs(source, places, closed):
            chosen.setdefault(path, (path, source))
    return list(chosen.values())


def _programs(source: InterpreterSource, places: SearchPlaces, closed: list[str]) -> Iterator[Path]:
    try:
        for path in source.candidates(places):
            if _is_program(path):
                yield path.resolve()
    except (OSError, RuntimeError) as error:  # a RuntimeError for links in a circle
        closed.append(f"interpreters of {source.name} were passed over: {error}")


def _is_program(path: Path) -> bool:
    try:
        # A Windows Store alias is an empty file that opens the shop.
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def _choose(interpreters: Iterable[Interpreter], own: str) -> tuple[Interpreter, ...]:
    best: dict[tuple[str, str], Interpreter] = {}
    # Of equal versions the first one stays the first.
    for item in sorted(interpreters, key=lambda item: Version(item.version), reverse=True):
        best.setdefault((item.python, item.target), item)
    return tuple(
        sorted(
            best.values(),
            key=lambda chosen: (Version(chosen.python), chosen.target != own, chosen.target),
        )
    )


# uv fetches ready builds from 3.8 on: https://docs.astral.sh/uv/reference/policies/python/
_UV_OLDEST = Version("3.8")


class NoInterpreterError(LookupError):
    """No CPython of that minor is on this machine; `remedy` tells how to install it."""

    reason = Reason.NO_INTERPRETER

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


def interpreter_for(
    python: str, interpreters: Iterable[Interpreter], target: str = ""
) -> Interpreter:
    """Return the interpreter of `major.minor`, for `target` where one is named.

    Raises NoInterpreterError where there is none.
    """
    usable = [item for item in interpreters if not target or item.target == target]
    for interpreter in usable:
        if interpreter.python == python:
            return interpreter
    versions = ", ".join(interpreter.python for interpreter in usable) or "none"
    name = f"{python} for {target}" if target else python
    raise NoInterpreterError(
        f"CPython {name} is not on this machine (found: {versions})", install_hint(python)
    )


def install_hint(python: str, platform: str = sys.platform) -> str:
    """Return how to install CPython `major.minor` on this platform, as one sentence."""
    if platform == "win32":
        tools = [f"the installer of https://www.python.org/downloads/ ({python})"]
    else:
        tools = [f"`pyenv install {python}`"]
    if Version(python) >= _UV_OLDEST:
        tools.insert(0, f"`uv python install {python}`")
    return f"Install CPython {python} with {' or '.join(tools)}; it is detected automatically."
