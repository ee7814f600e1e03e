"""Azure Functions: functions of an HTTP request and of a timer are called as the host does it."""

from __future__ import absolute_import

DISTRIBUTION = "azure-functions"
INTEGRATION = "azure_functions"
SPAN = [
    {
        "name": "azure.functions.invoke",
        "component": "azure_functions",
        "resource": "GET /api/books",
        "type": "serverless",
        "tags": {"aas.function.name": "find", "aas.function.trigger": "Http"},
    },
    {
        "name": "azure.functions.invoke",
        "component": "azure_functions",
        "resource": "Timer count",
        "tags": {"aas.function.trigger": "Timer"},
    },
]
ERROR_SPAN = {"name": "azure.functions.invoke", "resource": "GET /api/books"}
SERVICE = ""
PYTHON = ">=3.7"


def find(req):
    import azure.functions as functions

    if req.params["title"] == "lost":
        raise LookupError("no such book")
    return functions.HttpResponse(req.params["title"])


def count(timer):
    timer.append("counted")


def prepare(context):
    """Return the functions of an app by name."""
    import azure.functions as functions

    app = functions.FunctionApp()
    app.route(route="books")(find)
    app.schedule(schedule="0 0 * * * *", arg_name="timer")(count)
    found = app.get_functions()
    return dict((one.get_function_name(), one.get_user_function()) for one in found)


def request(context, title):
    import azure.functions as functions

    ask = functions.HttpRequest(
        method="GET", url="http://127.0.0.1/api/books", params={"title": title}, body=b""
    )
    return context.ready["find"](req=ask).get_body().decode("ascii")


def call(context):
    timer = []
    context.ready["count"](timer=timer)
    return ", ".join([request(context, "Emma")] + timer)


def fail(context):
    request(context, "lost")
