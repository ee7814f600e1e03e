"""Google Pub/Sub: a message is published and received; the topic of another does not exist.

The server is one of this process, with the messages of the library itself.
"""

from __future__ import absolute_import

DISTRIBUTION = "google-cloud-pubsub"
INTEGRATION = "google_cloud_pubsub"
SPAN = [
    {
        "name": "gcp.pubsub.request",
        "component": "google_cloud_pubsub",
        "resource": "*projects/bookshop/topics/*",
        "type": "worker",
    },
    {
        "name": "gcp.pubsub.send",
        "component": "google_cloud_pubsub",
        "resource": "books-*",
        "type": "worker",
    },
    {
        "name": "gcp.pubsub.receive",
        "component": "google_cloud_pubsub",
        "resource": "readers-*",
        "type": "worker",
    },
]
ERROR_SPAN = {"name": "gcp.pubsub.request", "resource": "*projects/bookshop/topics/lost"}
SERVICE = ""
PYTHON = ">=3.7"
# It imports pkg_resources, and does not require it.
ALSO = [["<2.14", "setuptools<81"]]


def serve():
    """Start a server of the requests that this module makes; return its address."""
    import grpc
    from concurrent import futures

    from google.protobuf import empty_pb2
    from google.pubsub_v1 import types

    messages = []

    def create(topic, context):
        if topic.name.endswith("/lost"):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such topic")
        return topic

    def publish(request, context):
        messages.extend(types.PubsubMessage(message) for message in request.messages)
        return types.PublishResponse(message_ids=["1"] * len(request.messages))

    def pull(requests, context):
        next(requests)
        received = [types.ReceivedMessage(ack_id="1", message=message) for message in messages]
        del messages[:]
        yield types.StreamingPullResponse(received_messages=received)
        for _ in requests:
            pass

    def acknowledge(request, context):
        return empty_pb2.Empty()

    def method(wrap, function, request, response):
        serializer = getattr(response, "serialize", None) or response.SerializeToString
        return wrap(
            function,
            request_deserializer=request.deserialize,
            response_serializer=serializer,
        )

    unary = grpc.unary_unary_rpc_method_handler
    stream = grpc.stream_stream_rpc_method_handler
    empty = empty_pb2.Empty
    publisher = {
        "CreateTopic": method(unary, create, types.Topic, types.Topic),
        "Publish": method(unary, publish, types.PublishRequest, types.PublishResponse),
    }
    subscriber = {
        "StreamingPull": method(
            stream, pull, types.StreamingPullRequest, types.StreamingPullResponse
        ),
        "Acknowledge": method(unary, acknowledge, types.AcknowledgeRequest, empty),
        "ModifyAckDeadline": method(unary, acknowledge, types.ModifyAckDeadlineRequest, empty),
    }
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", publisher),
            grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber),
        ]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, "127.0.0.1:%d" % port


def prepare(context):
    import os

    from google.cloud import pubsub_v1

    server, os.environ["PUBSUB_EMULATOR_HOST"] = serve()
    os.environ["PUBSUB_PROJECT_ID"] = "bookshop"
    return server, pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()


def call(context):
    import threading

    _, publisher, subscriber = context.ready
    topic = publisher.topic_path("bookshop", "books-" + context.shop)
    publisher.create_topic(request={"name": topic})
    publisher.publish(topic, b"Emma").result(20)
    titles = []
    received = threading.Event()

    def receive(message):
        titles.append(message.data.decode("ascii"))
        message.ack()
        received.set()

    path = subscriber.subscription_path("bookshop", "readers-" + context.shop)
    pulling = subscriber.subscribe(path, callback=receive)
    try:
        if not received.wait(20):
            raise RuntimeError("no message was received")
    finally:
        pulling.cancel()
        pulling.result(20)
    return ", ".join(titles)


def fail(context):
    _, publisher, _ = context.ready
    publisher.create_topic(request={"name": publisher.topic_path("bookshop", "lost")})
