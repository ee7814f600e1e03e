"""PynamoDB: the tables are listed, and one that is not there is looked at."""

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
SERVICE = "aws"
# It imports `getargspec`; 4.4.0 has annotated variables, and no word of it.
PYTHON = [["==4.4.0", ">=3.6,<3.11"], ["<5", "<3.11"]]
# It imports what Botocore brought along, and calls what is private to it.
ALSO = [["<4", "botocore<1.13"], ["<5.3.3", "botocore<1.28"]]


def prepare(place):
    import pynamodb.connection

    # It takes them from nowhere else.
    os.environ["AWS_ACCESS_KEY_ID"] = place.user
    os.environ["AWS_SECRET_ACCESS_KEY"] = place.password
    return lambda: pynamodb.connection.Connection(region="us-east-1", host=place.url)


def call(place):
    return "%d tables" % len(place.ready().list_tables()["TableNames"])


def fail(place):
    place.ready().describe_table("bookshop-warehouse")
