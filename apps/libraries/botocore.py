"""Botocore: the list of buckets, and the content of a bucket without a name.

By its documentation, the tracer marks responses as errors from status 500 on only.
"""

from __future__ import absolute_import

DISTRIBUTION = "botocore"
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
# Bundled code does not run on later CPythons: it uses `http.client` as of 3.5,
# `collections.Mapping`, an import hook of `six`, and `cgi`.
PYTHON = [["<=1.4.86", "<3.6"], ["<1.14", "<3.10"], ["<1.24", "<3.12"], ["<=1.29.0", "<3.13"]]


def prepare(context):
    import botocore.session

    return botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=context.url,
        aws_access_key_id=context.user,
        aws_secret_access_key=context.password,
    )


def call(context):
    return "%d buckets" % len(context.ready.list_buckets()["Buckets"])


def fail(context):
    context.ready.list_objects()
