"""Obstacles: reasons why a release cannot be installed or does not run on a CPython."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from matrix.model.reason import Reason
from matrix.pypi.releases import Release, Releases, specifier_allows
from matrix.system.data_files import read_data


@dataclasses.dataclass(frozen=True)
class Unsatisfiable:
    """The reason why something cannot exist."""

    reason: Reason
    detail: str


def tracer_obstacle(release: Release, python: str, target: str) -> Unsatisfiable | None:
    """Return why a tracer release cannot be installed from a wheel, None where it can."""
    if release.has_wheel(python, target):
        return None
    tracer = f"ddtrace {release.text}"
    if not release.accepts_python(python):
        requires = release.release.requires_python
        return Unsatisfiable(Reason.REQUIRES_PYTHON, f"{tracer} requires Python {requires}")
    if not release.has_target(target):
        return Unsatisfiable(Reason.NO_WHEEL, f"{tracer} has no wheel for {target}")
    return Unsatisfiable(Reason.NO_WHEEL, f"{tracer} has no wheel for CPython {python} on {target}")


def framework_obstacle(
    name: str, release: Release, python: str, data: Mapping[str, Any] | None = None
) -> Unsatisfiable | None:
    """Return why a framework's release does not run on a CPython, None where it does."""
    framework = f"{name} {release.text}"
    if not release.accepts_python(python):
        requires = release.release.requires_python or "(see files)"
        return Unsatisfiable(Reason.FRAMEWORK_PYTHON, f"{framework} requires Python {requires}")
    known = (read_data("frameworks") if data is None else data).get(name, {})
    for series in known.get("series", ()):
        if not specifier_allows(series["versions"], release.text):
            continue
        since = series.get("later", {}).get(python)
        if python in series["python"] or (since and specifier_allows(since, release.text)):
            return None
        return Unsatisfiable(
            Reason.FRAMEWORK_PYTHON, f"{framework} does not run on CPython {python}"
        )
    return None


def lowest_usable(
    project: Releases, specifier: str, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the documented minimum: the lowest release in the specifier, if it can be used.

    A release that is not older than `era` does not count: a tracer cannot know what came later.
    """
    releases = project.matching(specifier)
    if not releases:
        return _no_release(project, specifier)
    lowest = releases[0]
    if lowest.uploaded >= era:
        return _too_new(project, lowest, era)
    return framework_obstacle(project.name, lowest, python) or lowest


def newest_usable(
    project: Releases, specifier: str, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the newest release in the specifier that this CPython and the era allow."""
    releases = project.matching(specifier)
    if not releases:
        return _no_release(project, specifier)
    in_era = [release for release in releases if release.uploaded < era]
    if not in_era:
        return _too_new(project, releases[0], era)
    for release in reversed(in_era):
        if framework_obstacle(project.name, release, python) is None:
            return release
    requirement = f"{project.name} {specifier}".strip()
    return Unsatisfiable(
        Reason.FRAMEWORK_PYTHON, f"no release of {requirement} up to {era:%Y-%m-%d} runs on it"
    )


def _no_release(project: Releases, specifier: str) -> Unsatisfiable:
    condition = f" is {specifier}" if specifier else ""
    return Unsatisfiable(
        Reason.NO_RELEASE, f"no release of {project.name}{project.until_note}{condition}"
    )


def _too_new(project: Releases, release: Release, era: dt.datetime) -> Unsatisfiable:
    return Unsatisfiable(
        Reason.FRAMEWORK_ERA,
        f"{project.name} {release.text} was released on {release.uploaded:%Y-%m-%d},"
        f" the tracer on {era:%Y-%m-%d}",
    )
