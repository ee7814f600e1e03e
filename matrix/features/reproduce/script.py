"""Files and commands for a POSIX shell that repeat a cell by hand. Pure.

`matrix.features.reproduce.run` writes the files.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from matrix.cells.job import app_of
from matrix.cells.session import TRACER_LAUNCH
from matrix.features.reproduce.bare import bare_requests
from matrix.model.environment import Environment, Interpreter, Requirements
from matrix.model.plan import PlannedCell
from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.settings import load_settings

AGENT_PORT = 18126
# Current releases of virtualenv and uv do not support them.
_OLD = {"2.7", "3.5"}
# For a path in double quotes, in which the shell replaces the port.
_ESCAPES = str.maketrans({character: f"\\{character}" for character in '\\"$`'})
_AGENT = """\
\"\"\"Records what a tracer sends, and pushes the remote configuration of a setting.\"\"\"
import json, sys
from matrix.agent.server import Agent
from matrix.model.probe import RemoteConfig

CONFIGS = json.loads({configs!r})
with Agent({port}) as agent:
    print("agent at", agent.url)
    for name, files in CONFIGS.get(sys.argv[1], {{}}).items():
        input("Enter pushes the configuration of " + name + ": ")
        version = agent.push([RemoteConfig(*file) for file in files])
        print("acknowledged:", agent.wait_acknowledged(version, 60))
    input("Enter shows what the tracer sent, and ends: ")
    for request in agent.requests:
        print(request.method, request.path, json.dumps(request.body, default=str))
"""


def setting_names(probes: Iterable[Probe]) -> list[str]:
    """Return the names of the settings and controls of the probes, sorted."""
    channels = (channel for probe in probes for channel in probe.channels)
    return sorted({name for item in channels for name in (item.setting, item.control) if name})


@dataclasses.dataclass(frozen=True)
class ManualSteps:
    """The steps that repeat a cell by hand.

    `folder` is where its files are written, `project` this project's, `python` a Python that can
    import it; `settings` has each setting's variables by name. `back_ends` are those that the cell
    needs: descriptions by name.
    """

    planned: PlannedCell
    probes: Sequence[Probe]
    settings: Mapping[str, Mapping[str, str]]
    folder: Path
    project: Path
    python: Path
    back_ends: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def files(self, environment: Environment | None) -> dict[str, str]:
        """Return the text of each file that the commands use."""
        loaded = any(load_settings().get(name).loaded for name in self.settings)
        files = {"agent.py": self.agent_program()} if loaded else {}
        if environment is not None:
            files["lock.txt"] = "".join(f"{line}\n" for line in environment.lock)
        return files

    def agent_program(self) -> str:
        """Return the program that records what the tracer sends."""
        configs = {
            setting: {
                f"{probe.name}/{channel.name}": [
                    (item.product, item.config_id, item.content) for item in channel.configs
                ]
                for probe, channel in self._channels(setting)
                if channel.configs
            }
            for setting in self.settings
        }
        return _AGENT.format(configs=json.dumps(configs), port=AGENT_PORT)

    def environment_commands(self, interpreter: Interpreter) -> Iterator[str]:
        """Yield the commands that make the environment from its lock."""
        yield from self._virtualenv_commands(interpreter)
        if interpreter.python in _OLD:
            yield "env/bin/pip install --no-deps --require-hashes -r lock.txt"
        else:
            yield "uv pip install -p env/bin/python --no-deps --require-hashes -r lock.txt"

    def unlocked_commands(
        self, interpreter: Interpreter, requirements: Requirements
    ) -> Iterator[str]:
        """Yield the commands for an environment that could not be made, to see why."""
        packages = " ".join(shlex.quote(item) for item in (*requirements.pins, *requirements.also))
        binary = " ".join(f"--only-binary {name}" for name in requirements.only_binary)
        yield from self._virtualenv_commands(interpreter)
        if interpreter.python in _OLD:
            yield f"# its pip cannot hide what was uploaded after {requirements.as_of}"
            yield f"env/bin/pip install {binary} {packages}"
        else:
            until = requirements.as_of.isoformat()
            yield f"uv pip install -p env/bin/python --exclude-newer {until} {binary} {packages}"

    def back_end_commands(self) -> Iterator[str]:
        """Yield the commands that start the back ends; their variables go to files for the app."""
        for name, description in self.back_ends.items():
            yield f"# one more terminal, for {description}"
            start = f"{_quote(self.python)} -m matrix services start {name}"
            variables = _quote(self.folder / f"{name}.env")
            yield f"cd {_quote(self.project)} && {start} | tee {variables}"

    def session_commands(self, setting: str) -> Iterator[str]:
        """Yield the commands for the agent, the app and the requests under a setting."""
        if not load_settings().get(setting).loaded:
            yield "# terminal 1: the app, which prints its port; Ctrl-C ends it"
            yield from self._app_commands(setting)
            yield "# terminal 2: the requests, with the port that the app printed"
            yield from self.request_commands(setting)
            return
        yield "# terminal 1: the agent that the tracer reports to"
        agent = f"{_quote(self.python)} {_quote(self.folder / 'agent.py')} {setting}"
        yield f"PYTHONPATH={_quote(self.project)} {agent}"
        yield "# terminal 2: the app, which prints its port; Ctrl-C ends it"
        yield from self._app_commands(setting)
        yield "# terminal 3: the requests, with the port that the app printed"
        yield from self.request_commands(setting)

    def request_commands(self, setting: str) -> Iterator[str]:
        """Yield the requests to the app under a setting, and the evidence to look for."""
        yield "PORT=..."
        shops = (f"s{number:015x}" for number in itertools.count(1))
        if not load_settings().get(setting).loaded:
            probes = {probe.name: probe for probe in self.probes}
            for request in bare_requests(self.planned, probes):
                yield f"# {request.probe}: must be answered by the app itself"
                yield from _request_commands(request.stimulus, next(shops))
                yield f"#   expected: {request.stimulus.plain or 'no server error'}"
            return
        due = "a" if load_settings().get(setting).traced else "no"
        yield f'curl -i "http://127.0.0.1:$PORT/{next(shops)}/"  # {due} web span of it must arrive'
        for probe, channel in self._channels(setting, control=True):
            yield f"# {probe.name}, channel {channel.name}, switched off: must NOT show"
            for stimulus in channel.stimuli:
                yield from _stimulus_commands(stimulus, next(shops))
        for probe, channel in self._channels(setting):
            push = ", once its configuration is pushed (terminal 1)" if channel.configs else ""
            yield f"# {probe.name}, channel {channel.name}{push}: must show"
            for stimulus in channel.stimuli:
                yield from _stimulus_commands(stimulus, next(shops))

    def _channels(self, setting: str, *, control: bool = False) -> Iterator[tuple[Probe, Channel]]:
        for probe in self.probes:
            for channel in probe.channels:
                if setting == (channel.control if control else channel.setting):
                    yield probe, channel

    def _virtualenv_commands(self, interpreter: Interpreter) -> Iterator[str]:
        python = _quote(interpreter.executable)
        yield f"cd {_quote(self.folder)}"
        yield f"# CPython {interpreter.version}, {interpreter.target}"
        if interpreter.python in _OLD:
            tool = "uvx --python 3.11 --from 'virtualenv<20.22' virtualenv"
            yield f"{tool} --python {python} env"
        else:
            yield f"uv venv --no-project --python {python} env"

    def _app_commands(self, setting: str) -> Iterator[str]:
        python = _quote(self.folder / "env" / "bin" / "python")
        home = self.folder / "home"
        variables = {
            "HOME": str(home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "BOOKSHOP_DATABASE": str(home / "bookshop.sqlite3"),
        }
        loaded = load_settings().get(setting).loaded
        if loaded:
            variables["DD_AGENT_HOST"] = "127.0.0.1"
            variables["DD_TRACE_AGENT_PORT"] = str(AGENT_PORT)
            variables["DD_TRACE_AGENT_URL"] = f"http://127.0.0.1:{AGENT_PORT}"
        variables |= self.settings[setting]
        yield f"mkdir -p {_quote(home)} && cd {_quote(self.project / 'apps')}"
        yield "env -i \\"
        yield from (f"  {name}={shlex.quote(value)} \\" for name, value in variables.items())
        # Printed by `services start`: the ports differ each time.
        yield from (
            f"  $(grep ^BOOKSHOP_ {_quote(self.folder / f'{name}.env')}) \\"
            for name in self.back_ends
        )
        if loaded:
            yield f"  {python} -c {shlex.quote(TRACER_LAUNCH)} \\"
        framework = self.planned.cell.framework
        yield f"  {python} serve.py {app_of(framework, self.project / 'apps') or framework}"


def _stimulus_commands(stimulus: Stimulus, shop: str) -> Iterator[str]:
    yield from _request_commands(stimulus, shop)
    yield f"#   evidence: {stimulus.evidence!r}"


def _request_commands(stimulus: Stimulus, shop: str) -> Iterator[str]:
    words = ["curl", "-i", "-X", stimulus.method]
    for name, value in stimulus.headers:
        words += ["-H", f"{name}: {_fill_in(value, shop)}"]
    if stimulus.body:
        words += ["--data-raw", _fill_in(stimulus.body, shop)]
    quoted = " ".join(shlex.quote(word) for word in words)
    path = _fill_in(stimulus.path, shop).translate(_ESCAPES)
    yield f'{quoted} --globoff --path-as-is "http://127.0.0.1:$PORT{path}"'
    if stimulus.follow_up:
        follow_up = _fill_in(stimulus.follow_up, shop).translate(_ESCAPES)
        yield f'curl -i "http://127.0.0.1:$PORT{follow_up}"'


def _fill_in(template: str, shop: str) -> str:
    return template.replace("{shop}", shop).replace("{number}", str(int(shop[1:], 16) + 1))


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
