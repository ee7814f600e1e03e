"""The settings a process of the app runs under: `data/settings.toml` as environment variables."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path, PurePath

from matrix.errors import UsageError, did_you_mean
from matrix.system.data_files import read_toml
from matrix.system.paths import data_dir

__all__ = ["Setting", "Settings", "load_settings"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way to configure the tracer; `environment` holds templates (`{data}`).

    `traced` is whether spans are due; without them a process is told to be alive by its answers.
    """

    name: str
    title: str
    environment: Mapping[str, str]
    traced: bool = True


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings, and the `base` that goes into every process."""

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
        """Return the variables of the setting, with `data` as the folder of the cell's fixtures."""
        merged = {**self.base, **self.get(name).environment}
        return {key: value.replace("{data}", str(data)) for key, value in merged.items()}


@functools.cache
def load_settings(path: Path | None = None) -> Settings:
    """Return the settings of the file, by default the project's own."""
    raw = read_toml(path or data_dir() / "settings.toml")
    return Settings(
        base=raw["base"],
        by_name={
            name: Setting(
                name, table["title"], table.get("environment", {}), table.get("traced", True)
            )
            for name, table in raw["setting"].items()
        },
    )
