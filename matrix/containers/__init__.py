"""Containers: a thin typed layer over docker-py, and nothing that knows what runs in them.

with hold_run() as run, connect(run) as engine, engine.start(spec) as container: ...
"""

from matrix.containers.finding import connect, find_engine
from matrix.containers.labels import PROJECT_LABELS, Run, hold_run

__all__ = ["PROJECT_LABELS", "Run", "connect", "find_engine", "hold_run"]
