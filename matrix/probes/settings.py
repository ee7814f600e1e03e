"""Settings of a process of the sample app: environment variables from `data/settings.toml`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path, PurePath

from matrix.errors import UsageError, did_you_mean
from matrix.model.probe import Channel
from matrix.system.files import read_toml
from matrix.system.paths import data_dir


@dataclasses.dataclass(frozen=True)
class Setting:
    """One configuration of the tracer; the values of `environment` are templates (`{data}`).

    `traced` is whether spans are expected; without them only responses show that a process lives.
    `loaded` is whether the tracer is started at all; without it none of its variables is set.
    """

    name: str
    title: str
    environment: Mapping[str, str]
    traced: bool = True
    loaded: bool = True


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings, and the variables of every process (`base`)."""

    base: Mapping[str, str]
    by_name: Mapping[str, Setting]

    def get(self, name: str) -> Setting:
        """Return the setting called `name`; raise UsageError where there is none."""
        try:
            return self.by_name[name]
        except KeyError:
            raise UsageError(
                f"unknown setting {name!r}{did_you_mean(name, self.by_name)}",
                "Settings are in data/settings.toml.",
            ) from None

    def render(self, name: str, *, data: PurePath) -> dict[str, str]:
        """Return the variables of the setting, with `data` for the fixtures folder."""
        setting = self.get(name)
        merged = {**(self.base if setting.loaded else {}), **setting.environment}
        return {key: value.replace("{data}", str(data)) for key, value in merged.items()}


def is_controlled_bare(channel: Channel) -> bool:
    """Return whether the app without the tracer is a negative control of the channel.

    It is as good a one as the switch of tracing itself where all answers are compared with it.
    """
    if channel.control is None or load_settings().get(channel.control).traced:
        return False
    return all(each.is_compared for each in channel.stimuli if each.decisive)


@functools.cache
def load_settings(path: Path | None = None) -> Settings:
    """Load the settings of a file, by default those of the project."""
    raw = read_toml(path or data_dir() / "settings.toml")
    return Settings(
        base=raw["base"],
        by_name={
            name: Setting(
                name,
                table["title"],
                table.get("environment", {}),
                traced=table.get("traced", True),
                loaded=table.get("loaded", True),
            )
            for name, table in raw["setting"].items()
        },
    )
