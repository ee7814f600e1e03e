"""Botocore: the buckets are listed, and one without a name is looked into.

What a service refuses is no error to the tracer, by its documentation, before status 500.
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
# What they bring along is not for later CPythons: a request of `http.client` as it was until 3.5,
# `collections.Mapping`, an import hook of `six`, `cgi`.
PYTHON = [["<=1.4.86", "<3.6"], ["<1.14", "<3.10"], ["<1.24", "<3.12"], ["<=1.29.0", "<3.13"]]


def prepare(place):
    import botocore.session

    return botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=place.url,
        aws_access_key_id=place.user,
        aws_secret_access_key=place.password,
    )


def call(place):
    return "%d buckets" % len(place.ready.list_buckets()["Buckets"])


def fail(place):
    place.ready.list_objects()
