"""MLflow's part for tracing, with the rest of MLflow: a run, as in `mlflow.py`.

By itself it has no runs, and the tracer traces nothing else of MLflow.
"""

from __future__ import absolute_import

from libraries import mlflow

DISTRIBUTION = "mlflow-tracing"
INTEGRATION = "mlflow"
SPAN = [
    {"name": "run", "component": "mlflow", "type": "worker"},
    {"name": "run.step", "component": "mlflow", "type": "worker"},
]
ERROR_SPAN = {"name": "run", "component": "mlflow", "type": "worker"}
SERVICE = ""
PYTHON = ">=3.10"
# Of the same version: each requires the other.
ALSO = [["", "mlflow"]]


def patch():
    mlflow.patch()


def prepare(context):
    mlflow.prepare(context)


def call(context):
    return mlflow.call(context)


def fail(context):
    mlflow.fail(context)
