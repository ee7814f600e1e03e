"""aiokafka: messages are sent and received in a group; another is for a missing partition.

`distributed_tracing_enabled` of the integration puts the span of the receiver in the trace of the
sender, so that it can be assigned to the request.
"""

from __future__ import absolute_import

import loops

DISTRIBUTION = "aiokafka"
INTEGRATION = "aiokafka"
SPAN = [
    {
        "name": "kafka.produce",
        "component": "aiokafka",
        "type": "worker",
        "tags": {"kafka.topic": "bookshop-*"},
    },
    {
        "name": "kafka.consume",
        "component": "aiokafka",
        "type": "worker",
        "tags": {"kafka.topic": "bookshop-*"},
    },
]
ERROR_SPAN = {"name": "kafka.produce", "component": "aiokafka", "type": "worker"}
SERVICE = "kafka"
PYTHON = ">=3.6"


def prepare(context):
    import uuid

    import aiokafka  # noqa: F401

    try:
        from ddtrace import config

        config.aiokafka["distributed_tracing_enabled"] = True
    except ImportError:
        pass
    # Unique, as several apps may use the broker.
    return str(uuid.uuid4())


async def send(context, topic, *texts, **options):
    import aiokafka

    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=context.url)
    await producer.start()
    try:
        for text in texts:
            await producer.send_and_wait(topic, text, key=b"emma", **options)
    finally:
        await producer.stop()


async def receive(context, topic):
    import aiokafka

    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=context.url, group_id=topic, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        messages = [await consumer.getone()]
        for batch in (await consumer.getmany(timeout_ms=10000)).values():
            messages += batch
        await consumer.commit()
        return ", ".join(message.value.decode("ascii") for message in messages)
    finally:
        await consumer.stop()


async def send_and_receive(context):
    topic = "bookshop-%s-%s" % (context.shop, context.ready)
    await send(context, topic, b"Emma", b"Persuasion")
    return await receive(context, topic)


def call(context):
    return loops.run(send_and_receive(context))


def fail(context):
    loops.run(send(context, "bookshop-" + context.ready, b"Emma", partition=7))
