"""aiobotocore: the list of buckets, and the content of a missing bucket."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aiobotocore"
INTEGRATION = "aiobotocore"
SPAN = {
    "name": "s3.command",
    "component": "aiobotocore",
    "resource": "s3.listbuckets",
    "type": "http",
    "tags": {"aws.operation": "ListBuckets", "http.status_code": "200"},
}
ERROR_SPAN = {"name": "s3.command", "component": "aiobotocore", "resource": "s3.listobjects"}
SERVICE = "aws"
# It uses names that became keywords in 3.7; its Botocore uses `collections.Mapping`.
PYTHON = [["<0.12", ">=3.5,<3.7"], ["<1", ">=3.5,<3.10"], ["", ">=3.5"]]


def patch():
    from ddtrace import patch

    patch(aiobotocore=True)


def prepare(context):
    import aiobotocore  # noqa: F401


async def query(context, operation, **parameters):
    from aiobotocore.session import get_session

    created = get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=context.url,
        aws_access_key_id=context.user,
        aws_secret_access_key=context.password,
    )
    async with created as client:
        return await getattr(client, operation)(**parameters)


def call(context):
    return "%d buckets" % len(loops.run(query(context, "list_buckets"))["Buckets"])


def fail(context):
    loops.run(query(context, "list_objects", Bucket="there-is-no-such-bucket"))
