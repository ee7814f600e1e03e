"""Azure Durable Functions: an activity is called as the host does it; another raises."""

from __future__ import absolute_import

DISTRIBUTION = "azure-functions-durable"
INTEGRATION = "azure_durable_functions"
SPAN = {
    "name": "azure.functions.invoke",
    "component": "azure_functions",
    "resource": "Activity wrap",
    "type": "serverless",
    "tags": {"aas.function.name": "wrap", "aas.function.trigger": "Activity"},
}
ERROR_SPAN = {"name": "azure.functions.invoke", "resource": "Activity wrap"}
SERVICE = ""
PYTHON = ">=3.7"


def wrap(title):
    if title == "lost":
        raise LookupError("no such book")
    return title + " in paper"


def prepare(context):
    import azure.durable_functions as durable

    app = durable.DFApp()
    app.activity_trigger(input_name="title")(wrap)
    return app.get_functions()[0].get_user_function()


def call(context):
    return context.ready(title="Emma")


def fail(context):
    context.ready(title="lost")
