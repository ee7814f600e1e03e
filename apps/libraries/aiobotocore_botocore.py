"""Botocore under aiobotocore, which requires a few releases of it: as in `aiobotocore.py`."""

from __future__ import absolute_import

from libraries import aiobotocore

DISTRIBUTION = "botocore"
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
# Bundled code does not run on later CPythons, see `botocore.py`.
PYTHON = [["<1.14", ">=3.5,<3.10"], ["<1.24", ">=3.6,<3.12"], ["", ">=3.6"]]
ALSO = [["", "aiobotocore"]]


def patch():
    aiobotocore.patch()


def prepare(context):
    aiobotocore.prepare(context)


def call(context):
    return aiobotocore.call(context)


def fail(context):
    aiobotocore.fail(context)
