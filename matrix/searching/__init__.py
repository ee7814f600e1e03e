"""The least release that can do something: search over releases, with no idea of what it asks.

Pure: an `Oracle` answers for one release, a `Strategy` says which release to ask about next, and
`search` goes between them and tells every step as an event. `Together` does so for searches whose
answers come from the same experiments, several of which are made at a time.
"""

from matrix.searching.bisecting import Bisection
from matrix.searching.exhausting import Exhaustive
from matrix.searching.oracle import Answer, Oracle, Reply
from matrix.searching.result import Hole, Result
from matrix.searching.search import search
from matrix.searching.together import Together

__all__ = [
    "Answer",
    "Bisection",
    "Exhaustive",
    "Hole",
    "Oracle",
    "Reply",
    "Result",
    "Together",
    "search",
]
