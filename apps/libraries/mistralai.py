"""Mistral: a chat, whole, as a stream and by asyncio; a model that does not exist."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "mistralai"
INTEGRATION = "mistralai"
SPAN = [
    {
        "name": "mistralai.request",
        "component": "mistralai",
        "resource": "Chat.complete",
        "tags": {"mistralai.request.model": "mistral-small"},
    },
    {"name": "mistralai.request", "resource": "Chat.stream"},
    {"name": "mistralai.request", "resource": "Chat.complete_async"},
]
ERROR_SPAN = {"name": "mistralai.request", "resource": "Chat.complete"}
SERVICE = "models"
PYTHON = ">=3.9"
ASK = {"model": "mistral-small", "messages": [{"role": "user", "content": "Which book?"}]}


def prepare(context):
    try:
        from mistralai.client import Mistral
    except ImportError:  # before 2.0
        from mistralai import Mistral

    return Mistral(api_key="none", server_url=context.url)


async def complete_async(context):
    # A client of its own, as its connections belong to a loop.
    async with prepare(context) as client:
        return await client.chat.complete_async(**ASK)


def call(context):
    chat = context.ready.chat
    answers = [chat.complete(**ASK), loops.run(complete_async(context))]
    texts = [answer.choices[0].message.content for answer in answers]
    chunks = [event.data.choices[0].delta.content for event in chat.stream(**ASK)]
    return ", ".join(texts + ["".join(chunk or "" for chunk in chunks)])


def fail(context):
    context.ready.chat.complete(model="lost", messages=ASK["messages"])
