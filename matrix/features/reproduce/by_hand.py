"""How to repeat a cell by hand: files and commands for a POSIX shell, apart from what runs cells.

Pure: says what the files hold and what to type; `matrix.reporting.alone` writes the files.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matrix.cells.job import app_of
from matrix.model.environment import Environment, Interpreter, Requirements
from matrix.model.plan import PlannedCell
from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.settings import load_settings

AGENT_PORT = 18126
# Today's virtualenv and uv refuse them.
_OLD = {"2.7", "3.5"}
# `python -m ddtrace.commands.ddtrace_run` does nothing, with exit code 0, in some releases.
_LAUNCH = "from ddtrace.commands.ddtrace_run import main; main()"
_AGENT = """\
\"\"\"Records what a tracer sends; pushes the remote configuration of a setting when told to.\"\"\"
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


@dataclasses.dataclass(frozen=True)
class ManualSteps:
    """A cell for a person: `folder` is where its files are written, `project` this project's,
    `python` a Python that can import it; `settings` holds each setting's variables by name.
    `back_ends` are those that it needs: by name, what they are.
    """

    planned: PlannedCell
    probes: Sequence[Probe]
    settings: Mapping[str, Mapping[str, str]]
    folder: Path
    project: Path
    python: Path
    back_ends: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def files(self, environment: Environment | None) -> dict[str, str]:
        """Return the text of each file that the commands name."""
        made = {"agent.py": self.agent()}
        if environment is not None:
            made["lock.txt"] = "".join(f"{line}\n" for line in environment.lock)
        return made

    def agent(self) -> str:
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

    def environment(self, interpreter: Interpreter) -> Iterator[str]:
        """Yield the commands that make the environment from its lock."""
        yield from self._make(interpreter)
        if interpreter.python in _OLD:
            yield "env/bin/pip install --no-deps --require-hashes -r lock.txt"
        else:
            yield "uv pip install -p env/bin/python --no-deps --require-hashes -r lock.txt"

    def unlocked(self, interpreter: Interpreter, requirements: Requirements) -> Iterator[str]:
        """Yield the commands for an environment that could not be made, to see why."""
        wanted = " ".join(shlex.quote(item) for item in (*requirements.pins, *requirements.also))
        binary = " ".join(f"--only-binary {name}" for name in requirements.only_binary)
        yield from self._make(interpreter)
        if interpreter.python in _OLD:
            yield f"# its pip cannot hide what was uploaded after {requirements.as_of}"
            yield f"env/bin/pip install {binary} {wanted}"
        else:
            until = requirements.as_of.isoformat()
            yield f"uv pip install -p env/bin/python --exclude-newer {until} {binary} {wanted}"

    def beside(self) -> Iterator[str]:
        """Yield how to start the back ends, which tell the app where they are by files."""
        for name, what in self.back_ends.items():
            yield f"# a terminal more, for {what}"
            start = f"{_quote(self.python)} -m matrix services start {name}"
            yield f"cd {_quote(self.project)} && {start} | tee {_quote(self._told(name))}"

    def session(self, setting: str) -> Iterator[str]:
        """Yield how to start agent and app under a setting, what to ask, and what to look for."""
        yield "# terminal 1: the agent that the tracer reports to"
        agent = f"{_quote(self.python)} {_quote(self.folder / 'agent.py')} {setting}"
        yield f"PYTHONPATH={_quote(self.project)} {agent}"
        yield "# terminal 2: the app, which says its port; Ctrl-C ends it"
        yield from self._app(setting)
        yield "# terminal 3: the requests, with the port that the app said"
        yield from self.requests(setting)

    def requests(self, setting: str) -> Iterator[str]:
        """Yield what to ask of the app under a setting, and what to look for."""
        yield "PORT=..."
        shops = (f"s{number:015x}" for number in itertools.count(1))
        due = "a" if load_settings().get(setting).traced else "no"
        yield f'curl -i "http://127.0.0.1:$PORT/{next(shops)}/"  # {due} web span of it must arrive'
        for probe, channel in self._channels(setting, control=True):
            yield f"# {probe.name}, channel {channel.name}, switched off: must NOT show"
            for stimulus in channel.stimuli:
                yield from _ask(stimulus, next(shops))
        for probe, channel in self._channels(setting):
            push = ", once its configuration is pushed (terminal 1)" if channel.configs else ""
            yield f"# {probe.name}, channel {channel.name}{push}: must show"
            for stimulus in channel.stimuli:
                yield from _ask(stimulus, next(shops))

    def _told(self, name: str) -> Path:
        """Return the file with the variables of a back end."""
        return self.folder / f"{name}.env"

    def _channels(self, setting: str, *, control: bool = False) -> Iterator[tuple[Probe, Channel]]:
        for probe in self.probes:
            for channel in probe.channels:
                if setting == (channel.control if control else channel.setting):
                    yield probe, channel

    def _make(self, interpreter: Interpreter) -> Iterator[str]:
        python = _quote(interpreter.executable)
        yield f"cd {_quote(self.folder)}"
        yield f"# CPython {interpreter.version}, {interpreter.target}"
        if interpreter.python in _OLD:
            tool = "uvx --python 3.11 --from 'virtualenv<20.22' virtualenv"
            yield f"{tool} --python {python} env"
        else:
            yield f"uv venv --no-project --python {python} env"

    def _app(self, setting: str) -> Iterator[str]:
        python = _quote(self.folder / "env" / "bin" / "python")
        home = self.folder / "home"
        given = {
            "HOME": str(home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "BOOKSHOP_DATABASE": str(home / "bookshop.sqlite3"),
            "DD_AGENT_HOST": "127.0.0.1",
            "DD_TRACE_AGENT_PORT": str(AGENT_PORT),
            "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{AGENT_PORT}",
            **self.settings[setting],
        }
        yield f"mkdir -p {_quote(home)} && cd {_quote(self.project / 'apps')}"
        yield "env -i \\"
        yield from (f"  {name}={shlex.quote(value)} \\" for name, value in given.items())
        # What `services start` said: the ports are other ones each time.
        yield from (
            f"  $(grep ^BOOKSHOP_ {_quote(self._told(name))}) \\" for name in self.back_ends
        )
        yield f"  {python} -c {shlex.quote(_LAUNCH)} \\"
        framework = self.planned.cell.framework
        yield f"  {python} serve.py {app_of(framework, self.project / 'apps') or framework}"


def _ask(stimulus: Stimulus, shop: str) -> Iterator[str]:
    yield _curl(stimulus, shop)
    if stimulus.follow_up:
        yield f'curl -i "http://127.0.0.1:$PORT{_escaped(_filled(stimulus.follow_up, shop))}"'
    yield f"#   evidence: {stimulus.evidence!r}"


def _curl(stimulus: Stimulus, shop: str) -> str:
    words = ["curl", "-i", "-X", stimulus.method]
    for name, value in stimulus.headers:
        words += ["-H", f"{name}: {_filled(value, shop)}"]
    if stimulus.body:
        words += ["--data-raw", _filled(stimulus.body, shop)]
    quoted = " ".join(shlex.quote(word) for word in words)
    path = _escaped(_filled(stimulus.path, shop))
    return f'{quoted} --globoff --path-as-is "http://127.0.0.1:$PORT{path}"'


def _filled(template: str, shop: str) -> str:
    return template.replace("{shop}", shop).replace("{number}", str(int(shop[1:], 16) + 1))


def _escaped(path: str) -> str:
    """Return a path for double quotes, in which the shell fills the port in."""
    for character in '\\"$`':
        path = path.replace(character, f"\\{character}")
    return path


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
