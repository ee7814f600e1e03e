"""A folder from which Docker builds one cell, on any machine: its Dockerfile, and how to use it.

Pure: says what the files hold; `matrix.reporting.by_dockerfile` writes them.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from matrix.cells.env_vars import process_environment
from matrix.cells.job import app_of
from matrix.environments.download import ChosenFile
from matrix.features.reproduce.by_hand import AGENT_PORT, ManualSteps
from matrix.model.environment import Image
from matrix.probes.settings import load_settings

_LAUNCH = "from ddtrace.commands.ddtrace_run import main; main()"
# The base has its own, and nothing else listens there.
_NOT_GIVEN = {"PATH", "BOOKSHOP_CATALOGUE_URL"}
_CONFINED = (
    "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --user 1000:1000"
)


@dataclasses.dataclass(frozen=True)
class BaseImage:
    """The image to build upon; `digest` is "" where none is known for the platform.

    `made_here` is the id of the self-made image that this machine runs the cell in, if it does.
    """

    name: str
    digest: str
    made_here: str

    @property
    def reference(self) -> str:
        """Return what stands after FROM."""
        return f"{self.name}@{self.digest}" if self.digest else self.name


@dataclasses.dataclass(frozen=True)
class DockerContext:
    """`files` are those that the app needs, `tools` what installs them (pip first).

    With `vendored` they lie in the context, in `wheels/`; without, the build asks the index.
    `settings` are the variables of each setting by its name, the first one shown first; `common`
    those of all settings.
    """

    by_hand: ManualSteps
    image: Image
    base: BaseImage
    files: Sequence[ChosenFile]
    tools: Sequence[ChosenFile]
    vendored: bool
    common: Mapping[str, str]
    settings: Mapping[str, Mapping[str, str]]

    def texts(self) -> dict[str, str]:
        """Return the text of each file of the context that is written, not copied."""
        made = {
            "Dockerfile": "\n".join((*self._dockerfile(), "")),
            "README.md": "\n".join((*self._readme(), "")),
            "requirements.txt": "".join(f"{file.locked}\n" for file in self.files),
            ".dockerignore": "README.md\nagent\nsettings\n",
            "agent/agent.py": self.by_hand.agent(),
        }
        for name, variables in self.settings.items():
            lines = (f"{key}={value}\n" for key, value in sorted(variables.items()))
            made[f"settings/{name}.env"] = "".join(lines)
        return made

    @property
    def _python(self) -> str:
        """Return the interpreter's name, the same in official images and in Debian's."""
        return f"python{self.image.minor}"

    @property
    def _title(self) -> str:
        planned = self.by_hand.planned
        return f"{planned.cell.id}, dependencies as of {planned.as_of}"

    def _dockerfile(self) -> Iterator[str]:
        yield f"# {self._title}. README.md says how to build and run it."
        if not self.base.digest:
            yield "# No digest is known for this platform: the tag may mean another image tomorrow."
        yield f"ARG BASE={self.base.reference}"
        yield "FROM ${BASE}"
        yield ""
        yield "# pip comes along: not every base has one, and old ones do not know today's wheels."
        yield "COPY tools /cell/tools"
        if self.vendored:
            yield "# The very files that the cell was run with: the build needs no network."
            yield "COPY wheels /cell/wheels"
        else:
            yield "# An index of your own: --build-arg PIP_INDEX_URL=..."
            yield "ARG PIP_INDEX_URL"
        yield "COPY requirements.txt /cell/"
        yield from self._install()
        yield ""
        yield "COPY fixtures /cell/fixtures"
        yield "COPY apps /cell/apps"
        yield "# From here a user would start it: code security looks at code below this folder."
        yield "WORKDIR /cell/apps"
        yield "USER 1000:1000"
        yield "ENV " + " \\\n    ".join(
            f"{name}={_quoted(value)}" for name, value in self._variables().items()
        )
        command = [self._python, "-c", _LAUNCH, self._python, "/cell/apps/serve.py"]
        launch = [PurePosixPath(word).name for word in self.image.launch]
        framework = self.by_hand.planned.cell.framework
        command.append(app_of(framework, self.by_hand.project / "apps") or framework)
        yield f"CMD {json.dumps([*launch, *command])}"

    def _install(self) -> Iterator[str]:
        pip = [self._python, f"/cell/tools/{self.tools[0].filename}/pip", "install"]
        common = ["--no-cache-dir", "--disable-pip-version-check", "--no-deps"]
        where = ["--no-index", "--find-links", "/cell/wheels"] if self.vendored else []
        wanted = [*common, "--require-hashes", "-r", "/cell/requirements.txt"]
        yield 'ENV PIP_BREAK_SYSTEM_PACKAGES="1" PIP_ROOT_USER_ACTION="ignore"'
        if all(file.is_wheel for file in self.files):
            yield f"RUN {json.dumps([*pip, *where, *wanted])}"
            return
        yield "# Source distributions are built with these, which do not stay where the app looks."
        tools = [f"/cell/tools/{file.filename}" for file in self.tools]
        yield f"RUN {json.dumps([*pip, '--no-index', *common, '--target', '/cell/build', *tools])}"
        yield 'ENV PYTHONPATH="/cell/build"'
        build = [self._python, "-m", "pip", "install", "--no-build-isolation", "--ignore-installed"]
        yield f"RUN {json.dumps([*build, *where, *wanted])}"
        yield 'ENV PYTHONPATH=""'

    def _variables(self) -> dict[str, str]:
        given = process_environment(
            PurePosixPath("/tmp"),  # noqa: S108 - inside
            setting={**self.common, **dict(self.image.environment)},
            agent_port=AGENT_PORT,
            upstream_port=0,
        )
        return {name: value for name, value in given.items() if name not in _NOT_GIVEN}

    def _readme(self) -> Iterator[str]:
        platform = self.image.platform
        build = f"docker build --platform {platform}"
        if self.vendored:
            build += " --network none"
        yield f"# {self.by_hand.planned.cell.id}"
        yield ""
        yield f"One cell on its own: CPython {self.image.minor} on {platform}, dependencies as of"
        yield f"{self.by_hand.planned.as_of}. It needs nothing of the project that wrote it."
        yield ""
        yield "## Build"
        yield ""
        yield from _block(f"{build} -t cell .")
        yield f"The base is `{self.base.reference}`. Another one with `{self._python}` on its PATH:"
        yield ""
        mine = self.base.made_here or "IMAGE"
        yield from _block(f"{build} --build-arg BASE={mine} -t cell .")
        if self.base.made_here:
            yield "This one is the image that the machine which wrote this made by itself."
            yield ""
        yield from self._installing()
        yield "## The agent"
        yield ""
        yield "It records what the tracer sends, and pushes remote configuration where a setting"
        yield "has some. It needs Linux, as the container shares its network, and a Python 3.10 or"
        yield "newer with msgpack (`pip install msgpack`):"
        yield ""
        yield from _block(f"python agent/agent.py {next(iter(self.settings))}")
        yield "The last argument is the name of the setting."
        yield ""
        for name in self.settings:
            yield from self._setting(name)

    def _installing(self) -> Iterator[str]:
        count = len(self.files)
        if self.vendored:
            yield f"`wheels/` holds the {count} files that `requirements.txt` names, those for"
            yield f"{self.image.target} alone. So the build asks no index, and gives the same after"
            yield "a release was taken back. `tools/` holds what installs them."
        else:
            yield f"`requirements.txt` names {count} files by their hashes; the build asks the"
            yield "index for them (`--build-arg PIP_INDEX_URL=...` for another one)."
        yield ""

    def _setting(self, name: str) -> Iterator[str]:
        yield f"## Setting `{name}`: {load_settings().get(name).title}"
        yield ""
        yield "The app says its port, and ends with its standard input (Ctrl-D) or with Ctrl-C:"
        yield ""
        yield from _block(
            f"docker run --rm -i --platform {self.image.platform} --network host \\\n"
            f"  {_CONFINED} \\\n"
            f"  --env-file settings/{shlex.quote(name)}.env cell"
        )
        yield "Then, in another terminal:"
        yield ""
        yield from _block("\n".join(self.by_hand.requests(name)))


def _block(text: str) -> Iterator[str]:
    yield "```sh"
    yield text
    yield "```"
    yield ""


def _quoted(value: str) -> str:
    """Return a value as a Dockerfile's ENV takes it."""
    for character in '\\"$':
        value = value.replace(character, f"\\{character}")
    return f'"{value}"'
