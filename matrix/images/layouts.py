"""Where an interpreter of this machine keeps itself: asked once by running it, remembered."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from matrix.interpreters.asking import Answer, CannotTellError
from matrix.interpreters.remembering import Memory
from matrix.places import fixtures_dir

__all__ = ["Layout", "ask_layout", "layouts"]

_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Layout:
    """Paths of this machine: `folders` hold the standard library, `site` what is installed.

    `library` is the shared library that the interpreter is in, "" where there is none, and
    `library_path` the name it is looked for by.
    """

    folders: tuple[str, ...]
    library: str
    library_path: str
    site: str


def ask_layout(executable: Path) -> Answer:
    """Return what an interpreter says; raise CannotTellError where it says nothing."""
    script = fixtures_dir() / "images" / "layout.py"
    try:
        said = subprocess.run(
            [str(executable), "-E", "-s", str(script)],
            capture_output=True,
            check=True,
            env={"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
        answer = json.loads(said.stdout.decode("utf-8").splitlines()[-1])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        raise CannotTellError(str(error)) from error
    if not isinstance(answer, dict):
        raise CannotTellError("it answers with something else than its layout")
    return answer


def layouts(memory_file: Path | None) -> Callable[[Path], Layout]:
    """Return a function that gives an interpreter's layout, and raises CannotTellError."""

    def layout(executable: Path) -> Layout:
        memory = Memory(memory_file)
        answer = memory.ask(executable, ask_layout)
        memory.save()
        try:
            name = answer["library_name"]
            return Layout(
                folders=tuple(answer["folders"]),
                library=answer["library"],
                library_path=str(Path(answer["library_folder"]) / name) if name else "",
                site=answer["site"],
            )
        except (KeyError, TypeError) as error:
            raise CannotTellError("its answer makes no sense") from error

    return layout
