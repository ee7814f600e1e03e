"""MLflow: a run with a parameter and a metric, kept in files; another raises."""

from __future__ import absolute_import

DISTRIBUTION = "mlflow"
SYNONYMS = [["mlflow-skinny", "mlflow-skinny"]]
INTEGRATION = "mlflow"
SPAN = [
    {"name": "run", "component": "mlflow", "type": "worker"},
    {"name": "run.step", "component": "mlflow", "type": "worker"},
]
ERROR_SPAN = {"name": "run", "component": "mlflow", "type": "worker"}
SERVICE = ""
PYTHON = ">=3.8"
# It imports pkg_resources, and does not require it.
ALSO = [["<3", "setuptools<81"]]


def patch():
    from ddtrace import patch

    patch(mlflow=True)


def prepare(context):
    import os
    import tempfile

    # Later releases keep runs in files only if they are told so.
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow

    mlflow.set_tracking_uri("file://" + tempfile.mkdtemp(prefix="bookshop-"))
    mlflow.set_experiment("bookshop")


def run(context, title):
    import mlflow

    with mlflow.start_run(run_name="read") as active:
        mlflow.log_param("title", title)
        mlflow.log_metric("pages", 474)
        if title == "lost":
            raise LookupError("no such book")
    found = mlflow.get_run(active.info.run_id)
    return "%s: %d pages" % (found.data.params["title"], found.data.metrics["pages"])


def call(context):
    return run(context, "Emma")


def fail(context):
    run(context, "lost")
