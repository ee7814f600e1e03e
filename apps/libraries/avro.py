"""Avro: a record is written and read; one that does not match its schema.

The tracer puts the schema on the span that is active, for data streams monitoring.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "avro"
INTEGRATION = "avro"
SETTING = "data-streams"
SPAN = [
    {
        "name": "bookshop.write",
        "tags": {
            "schema.type": "avro",
            "schema.name": "Book",
            "schema.operation": "serialization",
        },
    },
    {
        "name": "bookshop.read",
        "tags": {"schema.type": "avro", "schema.name": "Book", "schema.operation": "deserialization"},
    },
]
SERVICE = ""
SCHEMA = """
{"type": "record", "name": "Book", "fields": [{"name": "title", "type": "string"}]}
"""


def prepare(context):
    import avro.schema

    return getattr(avro.schema, "parse", None) or avro.schema.Parse


def serialise(schema, title):
    import io

    import avro.io

    file = io.BytesIO()
    with carrier.span("bookshop.write"):
        avro.io.DatumWriter(schema).write({"title": title}, avro.io.BinaryEncoder(file))
    return file.getvalue()


def call(context):
    import io

    import avro.io

    schema = context.ready(SCHEMA)
    decoder = avro.io.BinaryDecoder(io.BytesIO(serialise(schema, "Emma")))
    with carrier.span("bookshop.read"):
        return avro.io.DatumReader(schema, schema).read(decoder)["title"]


def fail(context):
    serialise(context.ready(SCHEMA), 1815)
