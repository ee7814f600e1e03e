"""aiobotocore: the buckets are listed, and one that is not there is looked into."""

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
# Names that became keywords in 3.7, and `collections.Mapping` of the Botocore that it insists on.
PYTHON = [["<0.12", ">=3.5,<3.7"], ["<1", ">=3.5,<3.10"], ["", ">=3.5"]]


def patch():
    from ddtrace import patch

    patch(aiobotocore=True)


def prepare(place):
    import aiobotocore  # noqa: F401


async def ask(place, operation, **parameters):
    from aiobotocore.session import get_session

    asked = get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=place.url,
        aws_access_key_id=place.user,
        aws_secret_access_key=place.password,
    )
    async with asked as client:
        return await getattr(client, operation)(**parameters)


def call(place):
    return "%d buckets" % len(loops.run(ask(place, "list_buckets"))["Buckets"])


def fail(place):
    loops.run(ask(place, "list_objects", Bucket="there-is-no-such-bucket"))
