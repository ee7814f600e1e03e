"""From claims to the cells that answer them."""

from matrix.planning.engine import make_plan
from matrix.planning.select import Selection, select

__all__ = ["Selection", "make_plan", "select"]
