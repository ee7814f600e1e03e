"""The package index: what was released, when, and for which interpreters."""

from matrix.index.client import CachedIndex, index_url
from matrix.index.protocol import Index

__all__ = ["CachedIndex", "Index", "index_url"]
