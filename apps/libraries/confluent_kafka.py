"""Confluent Kafka: messages are produced and consumed in a group; another is too large."""

from __future__ import absolute_import

DISTRIBUTION = "confluent-kafka"
INTEGRATION = "kafka"
SPAN = [
    {
        "name": "kafka.produce",
        "component": "kafka",
        "type": "worker",
        "tags": {"kafka.topic": "bookshop-*", "kafka.message_key": "emma"},
    },
    {
        "name": "kafka.consume",
        "component": "kafka",
        "type": "worker",
        "tags": {"kafka.topic": "bookshop-*", "kafka.received_message": "True"},
    },
]
ERROR_SPAN = {"name": "kafka.produce", "component": "kafka", "type": "worker"}
SERVICE = "kafka"


def patch():
    from ddtrace import patch

    patch(kafka=True)


def prepare(context):
    import uuid

    import confluent_kafka  # noqa: F401

    # Unique, as several apps may use the broker.
    return str(uuid.uuid4())


def produce(context, topic, text):
    import confluent_kafka

    producer = confluent_kafka.Producer(
        {"bootstrap.servers": context.url, "message.max.bytes": 1000}
    )
    producer.produce(topic, text, key="emma")
    if producer.flush(10):
        raise RuntimeError("the message was not sent")


def call(context):
    import confluent_kafka

    topic = "bookshop-%s-%s" % (context.shop, context.ready)
    produce(context, topic, "Emma")
    produce(context, topic, "Persuasion")
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": context.url,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.subscribe([topic])
        messages = [consumer.poll(20)] + consumer.consume(1, 20)
        consumer.commit(asynchronous=False)
        return ", ".join(message.value().decode("ascii") for message in messages)
    finally:
        consumer.close()


def fail(context):
    produce(context, "bookshop-" + context.ready, "Emma" * 1000)
