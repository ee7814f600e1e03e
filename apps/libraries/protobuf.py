"""Protocol Buffers: a message is serialised and parsed; bytes that are no message.

The tracer puts the schema on the span that is active, for data streams monitoring.
"""

from __future__ import absolute_import

import carrier

DISTRIBUTION = "protobuf"
INTEGRATION = "protobuf"
SETTING = "data-streams"
SPAN = [
    {
        "name": "bookshop.write",
        "tags": {
            "schema.type": "protobuf",
            "schema.name": "*Book",
            "schema.operation": "serialization",
        },
    },
    {
        "name": "bookshop.read",
        "tags": {"schema.name": "*Book", "schema.operation": "deserialization"},
    },
]
SERVICE = ""


def patch():
    from ddtrace import patch

    patch(protobuf=True)


def prepare(context):
    """Return the class of a message, made as the code that protoc generates does it."""
    from google.protobuf import descriptor_pb2, descriptor_pool
    from google.protobuf.internal import builder

    file = descriptor_pb2.FileDescriptorProto(name="book.proto", package="bookshop")
    field = file.message_type.add(name="Book").field.add(name="title", number=1)
    field.type = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    field.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    added = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    names = {}
    builder.BuildMessageAndEnumDescriptors(added, names)
    builder.BuildTopDescriptorsAndMessages(added, "book_pb2", names)
    return names["Book"]


def call(context):
    with carrier.span("bookshop.write"):
        data = context.ready(title="Emma").SerializeToString()
    book = context.ready()
    with carrier.span("bookshop.read"):
        book.ParseFromString(data)
    return book.title


def fail(context):
    with carrier.span("bookshop.read"):
        context.ready().ParseFromString(b"\x0a\xff")
