"""An agent that records what tracers send it and serves the remote configuration it is given."""

from matrix.agent.server import Agent
from matrix.agent.upstream import Upstream

__all__ = ["Agent", "Upstream"]
