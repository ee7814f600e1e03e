"""PynamoDB: the list of tables, and the description of a missing one."""

from __future__ import absolute_import

import os

DISTRIBUTION = "pynamodb"
INTEGRATION = "pynamodb"
SPAN = {
    "name": "pynamodb.command",
    "component": "pynamodb",
    "resource": "ListTables",
    "type": "http",
    "tags": {"aws.operation": "ListTables"},
}
ERROR_SPAN = {
    "name": "pynamodb.command",
    "component": "pynamodb",
    "resource": "DescribeTable bookshop-warehouse",
}
STATEMENT = {}
SERVICE = "aws"
# It imports `getargspec`; 4.4.0 has annotated variables, but no requirement of a CPython.
PYTHON = [["==4.4.0", ">=3.6,<3.11"], ["<5", "<3.11"]]
# It imports packages that Botocore bundled, and calls private functions of Botocore.
ALSO = [["<4", "botocore<1.13"], ["<5.3.3", "botocore<1.28"]]


def prepare(context):
    import pynamodb.connection

    # It reads credentials from the environment only.
    os.environ["AWS_ACCESS_KEY_ID"] = context.user
    os.environ["AWS_SECRET_ACCESS_KEY"] = context.password
    return lambda: pynamodb.connection.Connection(region="us-east-1", host=context.url)


def call(context):
    return "%d tables" % len(context.ready().list_tables()["TableNames"])


def fail(context):
    context.ready().describe_table("bookshop-warehouse")
