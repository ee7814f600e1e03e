"""All sources together: one interpreter per CPython minor and target, and what others lack."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from matrix.interpreters.asking import Asker, CannotTellError, ask
from matrix.interpreters.identity import interpreter_from, own_target, why_not
from matrix.interpreters.remembering import Memory
from matrix.interpreters.sources import Places, Source, load_sources
from matrix.model.environment import Interpreter
from matrix.places import cache_dir

__all__ = ["Found", "find_interpreters", "search"]

_WORKERS = 4


@dataclasses.dataclass(frozen=True)
class Found:
    """`interpreters` ascend, one per minor and target; of equal minors the one comes first that is
    for the target that runs this. `problems` are sentences on candidates that failed.
    """

    interpreters: tuple[Interpreter, ...]
    problems: tuple[str, ...]


def find_interpreters() -> tuple[Interpreter, ...]:
    """Return the CPythons of this machine, ascending, one per minor and target (the highest patch).

    The first call runs each candidate; later ones take milliseconds.
    """
    return search().interpreters


def search(
    sources: Sequence[Source] | None = None,
    asker: Asker = ask,
    places: Places | None = None,
    memory_file: Path | None = None,
) -> Found:
    """Look through `sources`, ask each candidate once, and choose.

    By default: every source there is, this machine, and answers remembered in the cache folder.
    """
    if sources is None:
        sources = load_sources()
        memory_file = memory_file or cache_dir() / "interpreters.json"
    if places is None:
        places = Places(os.environ, Path.home(), sys.platform)
    candidates = _candidates(sources, places)
    memory = Memory(memory_file, own_target())

    def one(item: tuple[Path, Source]) -> Interpreter | str | None:
        executable, source = item
        try:
            answer = memory.ask(executable, asker)
            if why_not(answer) is not None:
                return None
            return interpreter_from(executable, source.name, answer)
        except CannotTellError as error:
            return f"{executable} ({source.name}): {error}"
        except (KeyError, TypeError, ValueError):
            return f"{executable} ({source.name}): its answer makes no sense"

    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        results = list(pool.map(one, candidates))
    memory.save()
    interpreters = [result for result in results if isinstance(result, Interpreter)]
    problems = [result for result in results if isinstance(result, str)]
    return Found(_choose(interpreters), tuple(problems))


def _candidates(sources: Iterable[Source], places: Places) -> list[tuple[Path, Source]]:
    """Return existing candidates by rank, each file once however many links lead to it."""
    chosen: dict[Path, tuple[Path, Source]] = {}
    for source in sorted(sources, key=lambda source: (source.rank, source.name)):
        for path in source.candidates(places):
            if _is_program(path):
                real = path.resolve()
                chosen.setdefault(real, (real, source))
    return list(chosen.values())


def _is_program(path: Path) -> bool:
    try:
        # A Windows Store alias is a file of no bytes that opens the shop.
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def _choose(interpreters: Iterable[Interpreter]) -> tuple[Interpreter, ...]:
    best: dict[tuple[str, str], Interpreter] = {}
    for interpreter in interpreters:
        kind = interpreter.python, interpreter.target
        rival = best.get(kind)
        if rival is None or _version(interpreter) > _version(rival):
            best[kind] = interpreter
    own = own_target()
    return tuple(
        sorted(
            best.values(), key=lambda each: (Version(each.python), each.target != own, each.target)
        )
    )


def _version(interpreter: Interpreter) -> Version:
    try:
        return Version(interpreter.version)
    except InvalidVersion as error:
        raise ValueError(interpreter.version) from error
