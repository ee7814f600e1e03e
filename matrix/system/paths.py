"""Paths of the project's own folders, of its cache and of its results."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def project_root() -> Path:
    """Return the folder that holds `matrix/`, `apps/` and `fixtures/`."""
    return Path(__file__).resolve().parents[2]


def data_dir() -> Path:
    """Return the folder of the project's data files (vocabulary, facts, recipes, settings)."""
    return project_root() / "matrix" / "data"


def facts_dir() -> Path:
    """Return the folder of the committed facts."""
    return project_root() / "matrix" / "facts"


def apps_dir() -> Path:
    """Return the folder of the sample apps."""
    return project_root() / "apps"


def fixtures_dir() -> Path:
    """Return the folder of the files that cells use."""
    return project_root() / "fixtures"


def home_dir() -> Path:
    """Return the user's home folder, `~` where none is known: unlike `Path.home`, without error."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111


def cache_dir() -> Path:
    """Return the folder that can be deleted at any time; `$COMPAT_MATRIX_CACHE` moves it."""
    if configured := os.environ.get("COMPAT_MATRIX_CACHE"):
        return Path(configured).absolute()
    # Without the author's folder that Windows programs usually have: its paths must stay short.
    return Path(platformdirs.user_cache_dir("compat-matrix", appauthor=False))


def results_dir() -> Path:
    """Return the folder of journals and captures; `$COMPAT_MATRIX_RESULTS` moves it."""
    configured = os.environ.get("COMPAT_MATRIX_RESULTS")
    return Path(configured).absolute() if configured else project_root() / ".matrix"
