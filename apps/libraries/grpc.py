"""gRPC: a call and a stream of a server in this process, and calls that raise there.

The server's span is in the caller's trace only if the client is traced too, and propagates it.
"""

from __future__ import absolute_import

DISTRIBUTION = "grpcio"
INTEGRATION = "grpc"
SPAN = {
    "name": "grpc",
    "resource": "/bookshop.Catalogue/Find",
    "type": "grpc",
    "tags": {"span.kind": "server", "grpc.method.kind": "unary"},
}
SERVICE = ""
# It imports pkg_resources.
ALSO = [["<1.14", "setuptools<81"]]
# The CPythons that have wheels; a build from source would compile the whole C++ library.
PYTHON = [
    [">=1.42,<1.49", "<3.11"],
    [">=1.49,<1.59", "<3.12"],
    [">=1.59,<1.66.2", "<3.13"],
    [">=1.66.2,<1.75.1", "<3.14"],
]


def find(request, context):
    if not request:
        raise LookupError("no such book")
    return b"The book " + request


def stream(request, context):
    # It raises at its start: a client may miss what came before an error.
    yield find(request, context)
    yield b"The end"


def prepare(context):
    from concurrent import futures

    import grpc

    handlers = {
        "Find": grpc.unary_unary_rpc_method_handler(find),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    handler = grpc.method_handlers_generic_handler("bookshop.Catalogue", handlers)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return port, server


def request(context, title):
    import grpc

    channel = grpc.insecure_channel("127.0.0.1:%d" % context.ready[0])
    answers = []
    try:
        answers += channel.unary_stream("/bookshop.Catalogue/Stream")(title, timeout=10)
    except grpc.RpcError as error:
        answers.append(status(error))
    try:
        answers.append(channel.unary_unary("/bookshop.Catalogue/Find")(title, timeout=10))
    except grpc.RpcError as error:
        # The message of the error itself has a port and a time.
        raise grpc.RpcError(b", ".join(answers + [status(error)]).decode("ascii"))
    return b", ".join(answers).decode("ascii")


def status(error):
    return ("%s %s" % (error.code(), error.details())).encode("ascii")


def call(context):
    return request(context, b"emma")


def fail(context):
    return request(context, b"")
