"""Environments: what a cell needs, resolved as of a date, locked, built once and shared."""

from matrix.environments.failures import BuildError
from matrix.environments.recipes import Sentinel, requirements_for, sentinel
from matrix.environments.running import stop_all
from matrix.environments.store import EnvironmentStore
from matrix.environments.trees import TreeStore

__all__ = [
    "BuildError",
    "EnvironmentStore",
    "Sentinel",
    "TreeStore",
    "requirements_for",
    "sentinel",
    "stop_all",
]
