"""Boto 2: the list of buckets, and a missing bucket."""

from __future__ import absolute_import

DISTRIBUTION = "boto"
INTEGRATION = "boto"
# The span is named after the first part of the host name.
SPAN = {
    "name": "*.command",
    "component": "boto",
    "resource": "*.get",
    "type": "http",
    "tags": {"aws.agent": "boto", "http.status_code": "200"},
}
SERVICE = "aws"
# Earlier releases build wheels for Python 2 only; its `six` lacks the import hooks of 3.12.
PYTHON = [["<2.32.1", "<3"], ["", "<3.12"]]


def prepare(context):
    import boto.s3.connection

    return boto.s3.connection.S3Connection(
        context.user,
        context.password,
        host=context.host,
        port=context.port,
        is_secure=False,
        calling_format=boto.s3.connection.OrdinaryCallingFormat(),
    )


def call(context):
    return "%d buckets" % len(context.ready.get_all_buckets())


def fail(context):
    context.ready.get_bucket("there-is-no-such-bucket")
