"""What can exist: a release with a wheel for this CPython, a framework that runs on it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

from matrix.model.reason import Reason
from matrix.pypi.releases import Release, Releases, specifier_allows
from matrix.system.data_files import read_data

__all__ = ["Unsatisfiable", "framework_runs", "lowest", "newest", "tracer_installs"]


@dataclasses.dataclass(frozen=True)
class Unsatisfiable:
    """Why something cannot exist."""

    reason: Reason
    detail: str


def tracer_installs(title: Release, python: str, target: str) -> Unsatisfiable | None:
    """Return why a tracer release cannot be installed from a wheel, None where it can."""
    if title.has_wheel(python, target):
        return None
    if not title.accepts_python(python):
        said = title.release.requires_python
        return Unsatisfiable(Reason.REQUIRES_PYTHON, f"ddtrace {title.text} requires Python {said}")
    if not title.has_target(target):
        return Unsatisfiable(Reason.NO_WHEEL, f"ddtrace {title.text} has no wheel for {target}")
    return Unsatisfiable(
        Reason.NO_WHEEL, f"ddtrace {title.text} has no wheel for CPython {python} on {target}"
    )


def framework_runs(
    name: str, title: Release, python: str, data: Mapping[str, Any] | None = None
) -> Unsatisfiable | None:
    """Return why a framework's release does not run on a CPython, None where it does."""
    if not title.accepts_python(python):
        said = title.release.requires_python
        return Unsatisfiable(
            Reason.FRAMEWORK_PYTHON, f"{name} {title.text} requires Python {said or '(see files)'}"
        )
    known = (read_data("frameworks") if data is None else data).get(name, {})
    for series in known.get("series", ()):
        if not specifier_allows(series["versions"], title.text):
            continue
        since = series.get("later", {}).get(python)
        if python in series["python"] or (since and specifier_allows(since, title.text)):
            return None
        return Unsatisfiable(
            Reason.FRAMEWORK_PYTHON, f"{name} {title.text} does not run on CPython {python}"
        )
    return None


def lowest(
    shelf: Releases, specifier: str, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the documented minimum: the lowest release in the specifier, if it can be used.

    A release that is newer than `era` is none: a tracer cannot know what came after it.
    """
    titles = shelf.matching(specifier)
    if not titles:
        return _no_release(shelf, specifier)
    title = titles[0]
    if title.uploaded >= era:
        return _too_new(shelf, title, era)
    return framework_runs(shelf.name, title, python) or title


def newest(
    shelf: Releases, specifier: str, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the newest release in the specifier that this CPython and the era allow."""
    titles = shelf.matching(specifier)
    if not titles:
        return _no_release(shelf, specifier)
    known = [title for title in titles if title.uploaded < era]
    if not known:
        return _too_new(shelf, titles[0], era)
    for title in reversed(known):
        if framework_runs(shelf.name, title, python) is None:
            return title
    said = f"{shelf.name} {specifier}".strip()
    return Unsatisfiable(
        Reason.FRAMEWORK_PYTHON, f"no release of {said} up to {era:%Y-%m-%d} runs on it"
    )


def _no_release(shelf: Releases, specifier: str) -> Unsatisfiable:
    said = f" is {specifier}" if specifier else ""
    return Unsatisfiable(Reason.NO_RELEASE, f"no release of {shelf.name}{shelf.until_note}{said}")


def _too_new(shelf: Releases, title: Release, era: dt.datetime) -> Unsatisfiable:
    return Unsatisfiable(
        Reason.FRAMEWORK_ERA,
        f"{shelf.name} {title.text} is of {title.uploaded:%Y-%m-%d},"
        f" the tracer's release of {era:%Y-%m-%d}",
    )
