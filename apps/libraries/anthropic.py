"""Anthropic: a message, whole, as a stream and by asyncio; a model that does not exist."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "anthropic"
INTEGRATION = "anthropic"
SPAN = [
    {
        "name": "anthropic.request",
        "component": "anthropic",
        "resource": "Messages.create",
        "tags": {"anthropic.request.model": "claude-3-5-haiku"},
    },
    {"name": "anthropic.request", "component": "anthropic", "resource": "AsyncMessages.create"},
]
ERROR_SPAN = {"name": "anthropic.request", "component": "anthropic", "resource": "Messages.create"}
SERVICE = "models"
PYTHON = ">=3.7"
# It passes `proxies` to httpx, which 0.28 removed.
ALSO = [["<0.40", "httpx<0.28"]]
ASK = {"max_tokens": 9, "messages": [{"role": "user", "content": "Which book?"}]}
MODEL = "claude-3-5-haiku"


def options(context):
    return {"base_url": context.url, "api_key": "none", "max_retries": 0}


def prepare(context):
    import anthropic

    return anthropic.Anthropic(**options(context))


async def ask_async(context):
    import anthropic

    async with anthropic.AsyncAnthropic(**options(context)) as client:
        return (await client.messages.create(model=MODEL, **ASK)).content[0].text


def call(context):
    messages = context.ready.messages
    texts = [messages.create(model=MODEL, **ASK).content[0].text, loops.run(ask_async(context))]
    events = list(messages.create(model=MODEL, stream=True, **ASK))
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    texts.append("".join(delta.text for delta in deltas))
    return ", ".join(texts)


def fail(context):
    context.ready.messages.create(model="lost", **ASK)
