"""Boto 2: the buckets are listed."""

from __future__ import absolute_import

DISTRIBUTION = "boto"
INTEGRATION = "boto"
# Named after the first part of the host's name.
SPAN = {
    "name": "*.command",
    "component": "boto",
    "resource": "*.get",
    "type": "http",
    "tags": {"aws.agent": "boto", "http.status_code": "200"},
}
SERVICE = "aws"
# Before, a wheel that is built of it is for Python 2 only; its `six` knows no import hooks of 3.12.
PYTHON = [["<2.32.1", "<3"], ["", "<3.12"]]


def prepare(place):
    import boto.s3.connection

    return boto.s3.connection.S3Connection(
        place.user,
        place.password,
        host=place.host,
        port=place.port,
        is_secure=False,
        calling_format=boto.s3.connection.OrdinaryCallingFormat(),
    )


def call(place):
    return "%d buckets" % len(place.ready.get_all_buckets())
