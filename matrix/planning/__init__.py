"""From claims to the cells that answer them."""

from matrix.planning.engine import make_plan

__all__ = ["make_plan"]
