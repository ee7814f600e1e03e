"""AWS durable executions: a handler with a step, and one that raises.

A handler saves its steps by a client of AWS Lambda, which is an object of ours here.
"""

from __future__ import absolute_import

DISTRIBUTION = "aws-durable-execution-sdk-python"
INTEGRATION = "aws_durable_execution_sdk_python"
SPAN = [
    {
        "name": "aws.durable.execute",
        "component": "aws_durable_execution_sdk_python",
        "resource": "*.sell",
    },
    {
        "name": "aws.durable.step",
        "component": "aws_durable_execution_sdk_python",
        "resource": "find",
    },
]
ERROR_SPAN = {"name": "aws.durable.execute", "resource": "*.sell"}
SERVICE = ""
PYTHON = ">=3.11"


class Client(object):
    """A client of AWS Lambda that keeps nothing: an execution here is never resumed."""

    def checkpoint_durable_execution(self, **options):
        return {"CheckpointToken": "2", "NewExecutionState": {"Operations": []}}

    def get_durable_execution_state(self, **options):
        return {"Operations": []}


def sell(event, context):
    if event["title"] == "lost":
        raise LookupError("no such book")
    return context.step(lambda step: event["title"], name="find") + " in paper"


def prepare(context):
    import aws_durable_execution_sdk_python as durable

    return durable.durable_execution(sell, boto3_client=Client())


def run(context, title):
    import json
    import types

    payload = json.dumps({"title": title})
    start = {
        "Id": "1",
        "Name": "sell",
        "Type": "EXECUTION",
        "Status": "STARTED",
        "ExecutionDetails": {"InputPayload": payload},
    }
    event = {
        "DurableExecutionArn": "arn:aws:lambda:us-east-1:1:function:sell/durable-execution/1/1",
        "CheckpointToken": "1",
        "InitialExecutionState": {"Operations": [start], "NextMarker": ""},
    }
    invocation = types.SimpleNamespace(aws_request_id=context.shop)
    return json.dumps(context.ready(event, invocation), sort_keys=True)


def call(context):
    return run(context, "Emma")


def fail(context):
    raise RuntimeError(run(context, "lost"))
