"""A folder from which Docker builds one cell on any machine: its Dockerfile and its README. Pure.

`matrix.features.reproduce.dockerfile` writes the files.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from matrix.cells.env_vars import agent_variables, process_environment
from matrix.cells.job import app_of
from matrix.cells.session import TRACER_LAUNCH
from matrix.environments.download import ChosenFile
from matrix.features.reproduce.script import AGENT_PORT, ManualSteps
from matrix.model.environment import Image
from matrix.probes.settings import load_settings

# The base image has its own PATH, and no catalogue listens in the container.
_EXCLUDED = {"PATH", "BOOKSHOP_CATALOGUE_URL"}
# As the ENV of a Dockerfile expects a value in double quotes.
_ESCAPES = str.maketrans({character: f"\\{character}" for character in '\\"$'})
_CONFINED = (
    "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --user 1000:1000"
)


@dataclasses.dataclass(frozen=True)
class BaseImage:
    """The base image; `digest` is "" where none is known for the platform.

    `local_id` is the id of the image made on this machine that the cell runs in here, or "".
    """

    name: str
    digest: str
    local_id: str

    @property
    def reference(self) -> str:
        """Return the reference of the image for FROM."""
        return f"{self.name}@{self.digest}" if self.digest else self.name


@dataclasses.dataclass(frozen=True)
class DockerContext:
    """The content of the folder.

    `files` are those that the app needs, `tools` what installs them (pip first). With `vendored`
    they are in the folder, in `wheels/`; without, the build downloads them from the index.
    `settings` are the variables of each setting by name, in the order of the README; `common` are
    those of all settings.
    """

    steps: ManualSteps
    image: Image
    base: BaseImage
    files: Sequence[ChosenFile]
    tools: Sequence[ChosenFile]
    vendored: bool
    common: Mapping[str, str]
    settings: Mapping[str, Mapping[str, str]]

    def texts(self) -> dict[str, str]:
        """Return the text of each file of the folder that is written, not copied."""
        texts = {
            "Dockerfile": "\n".join((*self._dockerfile(), "")),
            "README.md": "\n".join((*self._readme(), "")),
            "requirements.txt": "".join(f"{file.locked}\n" for file in self.files),
            ".dockerignore": "README.md\nagent\nsettings\n",
            "agent/agent.py": self.steps.agent_program(),
        }
        for name, variables in self.settings.items():
            lines = (f"{key}={value}\n" for key, value in sorted(variables.items()))
            texts[f"settings/{name}.env"] = "".join(lines)
        return texts

    @property
    def _python(self) -> str:
        """Return the name of the interpreter, which official and Debian images share."""
        return f"python{self.image.minor}"

    @property
    def _title(self) -> str:
        planned = self.steps.planned
        return f"{planned.cell.id}, dependencies as of {planned.as_of}"

    def _dockerfile(self) -> Iterator[str]:
        yield f"# {self._title}. README.md says how to build and run it."
        if not self.base.digest:
            yield "# No digest is known for this platform: the tag may mean another image tomorrow."
        yield f"ARG BASE={self.base.reference}"
        yield "FROM ${BASE}"
        yield ""
        yield "# pip is part of the folder: not every base has one, and old ones reject new wheels."
        yield "COPY tools /cell/tools"
        if self.vendored:
            yield "# The files that the cell was run with: the build needs no network."
            yield "COPY wheels /cell/wheels"
        else:
            yield "# Another index: --build-arg PIP_INDEX_URL=..."
            yield "ARG PIP_INDEX_URL"
        yield "COPY requirements.txt /cell/"
        yield from self._install_instructions()
        yield ""
        yield "COPY fixtures /cell/fixtures"
        yield "COPY apps /cell/apps"
        yield "# From here a user would start it: code security looks at code below this folder."
        yield "WORKDIR /cell/apps"
        yield "USER 1000:1000"
        yield "ENV " + " \\\n    ".join(
            f'{name}="{value.translate(_ESCAPES)}"' for name, value in self._variables().items()
        )
        tracer = [self._python, "-c", TRACER_LAUNCH]
        yield f"CMD {json.dumps([*self._launch, *tracer, *self._app])}"

    @property
    def _launch(self) -> list[str]:
        return [PurePosixPath(word).name for word in self.image.launch]

    @property
    def _app(self) -> list[str]:
        """Return the command of the app as it is."""
        framework = self.steps.planned.cell.framework
        app = app_of(framework, self.steps.project / "apps") or framework
        return [self._python, "/cell/apps/serve.py", app]

    def _install_instructions(self) -> Iterator[str]:
        pip = [self._python, f"/cell/tools/{self.tools[0].filename}/pip", "install"]
        common = ["--no-cache-dir", "--disable-pip-version-check", "--no-deps"]
        source = ["--no-index", "--find-links", "/cell/wheels"] if self.vendored else []
        files = [*common, "--require-hashes", "-r", "/cell/requirements.txt"]
        yield 'ENV PIP_BREAK_SYSTEM_PACKAGES="1" PIP_ROOT_USER_ACTION="ignore"'
        if all(file.is_wheel for file in self.files):
            yield f"RUN {json.dumps([*pip, *source, *files])}"
            return
        yield "# Source distributions are built with these, which do not stay where the app looks."
        tools = [f"/cell/tools/{file.filename}" for file in self.tools]
        yield f"RUN {json.dumps([*pip, '--no-index', *common, '--target', '/cell/build', *tools])}"
        yield 'ENV PYTHONPATH="/cell/build"'
        build = [self._python, "-m", "pip", "install", "--no-build-isolation", "--ignore-installed"]
        yield f"RUN {json.dumps([*build, *source, *files])}"
        yield 'ENV PYTHONPATH=""'

    def _variables(self) -> dict[str, str]:
        variables = process_environment(
            PurePosixPath("/tmp"),  # noqa: S108 - inside
            setting={**self.common, **dict(self.image.environment)},
            agent=agent_variables("127.0.0.1", AGENT_PORT),
            upstream_port=0,
        )
        return {name: value for name, value in variables.items() if name not in _EXCLUDED}

    def _readme(self) -> Iterator[str]:
        platform = self.image.platform
        build = f"docker build --platform {platform}"
        if self.vendored:
            build += " --network none"
        yield f"# {self.steps.planned.cell.id}"
        yield ""
        yield f"One cell on its own: CPython {self.image.minor} on {platform}, dependencies as of"
        yield f"{self.steps.planned.as_of}. It needs nothing of the project that wrote it."
        yield ""
        yield "## Build"
        yield ""
        yield from _block(f"{build} -t cell .")
        yield f"The base is `{self.base.reference}`. Another one with `{self._python}` on its PATH:"
        yield ""
        image = self.base.local_id or "IMAGE"
        yield from _block(f"{build} --build-arg BASE={image} -t cell .")
        if self.base.local_id:
            yield "This one was made by the machine that wrote this folder."
            yield ""
        yield from self._file_notes()
        yield "## The agent"
        yield ""
        yield "It records what the tracer sends, and pushes remote configuration where a setting"
        yield "has some. It needs Linux, as the container shares its network, and a Python 3.10 or"
        yield "newer with msgpack (`pip install msgpack`):"
        yield ""
        yield from _block(f"python agent/agent.py {next(filter(_is_loaded, self.settings))}")
        yield "The last argument is the name of the setting."
        yield ""
        for name in self.settings:
            yield from self._setting(name)

    def _file_notes(self) -> Iterator[str]:
        count = len(self.files)
        if self.vendored:
            yield f"`wheels/` has the {count} files that `requirements.txt` names, those for"
            yield f"{self.image.target} alone. So the build needs no index, and gives the same"
            yield "after a release was removed from it. `tools/` has what installs them."
        else:
            yield f"`requirements.txt` names {count} files by their hashes; the build downloads"
            yield "them from the index (`--build-arg PIP_INDEX_URL=...` for another one)."
        yield ""

    def _command(self, name: str) -> str:
        """Return the command that replaces the image's own, "" where that is the right one."""
        if _is_loaded(name):
            return ""
        unset = [f"--unset={each}" for each in self._variables() if each.startswith("DD_")]
        return f" \\\n  {shlex.join(['env', *unset, *self._launch, *self._app])}"

    def _setting(self, name: str) -> Iterator[str]:
        yield f"## Setting `{name}`: {load_settings().get(name).title}"
        yield ""
        yield "The app prints its port, and ends with its standard input (Ctrl-D) or with Ctrl-C:"
        yield ""
        yield from _block(
            f"docker run --rm -i --platform {self.image.platform} --network host \\\n"
            f"  {_CONFINED} \\\n"
            f"  --env-file settings/{shlex.quote(name)}.env cell{self._command(name)}"
        )
        yield "Then, in another terminal:"
        yield ""
        yield from _block("\n".join(self.steps.request_commands(name)))


def _is_loaded(setting: str) -> bool:
    return load_settings().get(setting).loaded


def _block(text: str) -> Iterator[str]:
    yield "```sh"
    yield text
    yield "```"
    yield ""
