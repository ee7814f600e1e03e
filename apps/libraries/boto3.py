"""Boto3: the list of buckets, by a client and by a resource; the content of a missing bucket.

The tracer traces Botocore, which makes the requests.
"""

from __future__ import absolute_import

DISTRIBUTION = "boto3"
INTEGRATION = "botocore"
SPAN = {
    "name": "s3.command",
    "component": "botocore",
    "resource": "s3.listbuckets",
    "type": "http",
    "tags": {"aws.operation": "ListBuckets", "http.status_code": "200"},
}
ERROR_SPAN = {"name": "s3.command", "component": "botocore", "resource": "s3.listobjects"}
SERVICE = "aws"


def prepare(context):
    import boto3

    session = boto3.session.Session(
        region_name="us-east-1",
        aws_access_key_id=context.user,
        aws_secret_access_key=context.password,
    )
    return [make("s3", endpoint_url=context.url) for make in (session.client, session.resource)]


def call(context):
    client, resource = context.ready
    counts = (len(client.list_buckets()["Buckets"]), len(list(resource.buckets.all())))
    return "%d and %d buckets" % counts


def fail(context):
    context.ready[0].list_objects()
