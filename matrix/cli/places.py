"""The command `places`: the deployment types that cells can run in, and how to get missing ones."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator

from matrix.cli.common import add_json_option
from matrix.cli.options import add_context_option, find_engine_info
from matrix.cli.state_table import show_rows, state_table
from matrix.errors import ExitCode
from matrix.kubernetes.connect import cluster_obstacle
from matrix.probes.places import Need, Place, load_places

_HEADINGS = ("place", "deployment", "state", "verdicts say", "how to get it")
_NO_ENGINE = "a container engine: start Docker, or set DOCKER_HOST"

DESCRIPTION = "List the places that claims about deployment types are tested in."
EXAMPLES = """\
examples:
  python -m matrix places
      for each place: ready or missing, what verdicts add where it only stands in for the
      deployment, and how to get it
  python -m matrix places --context kind-kind
      the same, with a Kubernetes cluster of your kubeconfig
  python -m matrix places --json -
      the same as JSON (schema places/1)
"""


@dataclasses.dataclass(frozen=True)
class PlaceState:
    """A line of the list; `remedy` is "" where the place is ready."""

    place: str
    deployment: str
    state: str
    shape: str
    remedy: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_context_option(parser)
    add_json_option(parser, "the list")


def run(args: argparse.Namespace) -> int:
    """List the places; always 0."""
    rows = list(_states(args.context))
    lines = state_table(
        _HEADINGS,
        [(row.place, row.deployment, row.state, row.shape, row.remedy) for row in rows],
        [row.state for row in rows],
    )
    show_rows(args.json, "places", [dataclasses.asdict(row) for row in rows], lines)
    return ExitCode.OK


def _states(context: str) -> Iterator[PlaceState]:
    missing = {Need.ENGINE: _engine_obstacle(), Need.CLUSTER: cluster_obstacle(context)}
    for place in load_places().values():
        yield _state(place, missing[place.needs])


def _state(place: Place, missing: str) -> PlaceState:
    state = "missing" if missing else "ready"
    return PlaceState(place.name, place.deployment, state, place.shape, missing)


def _engine_obstacle() -> str:
    return "" if find_engine_info() is not None else _NO_ENGINE
