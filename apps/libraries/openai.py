"""OpenAI: a chat, whole, as a stream and by asyncio, and embeddings; a model that does not exist.

Before 1.0, the library is a set of classes with global settings, and has no chat before 0.27.
"""

from __future__ import absolute_import

import loops

DISTRIBUTION = "openai"
INTEGRATION = "openai"
SPAN = [
    {
        "name": "openai.request",
        "component": "openai",
        "resource": "create*Completion",
        "tags": {"openai.request.model": "gpt-4o"},
    },
    {"name": "openai.request", "component": "openai", "resource": "createEmbedding"},
]
ERROR_SPAN = {
    "name": "openai.request",
    "component": "openai",
    "resource": "create*Completion",
    "tags": {"openai.request.model": "lost"},
}
SERVICE = "models"
PYTHON = ">=3.7"
# It passes `proxies` to httpx, which 0.28 removed.
ALSO = [[">=1,<1.55.3", "httpx<0.28"]]
QUESTION = "Which book?"


class OldClient(object):
    """The calls of releases before 1.0, under the names of later ones."""

    def __init__(self, url):
        import openai

        openai.api_base, openai.api_key = url, "none"
        self.complete, self.complete_async = openai.Completion.create, openai.Completion.acreate
        self.embed = openai.Embedding.create
        self.question = {"prompt": QUESTION}


class Client(object):
    """The same calls of releases from 1.0 on."""

    def __init__(self, url):
        import openai

        self.options = {"base_url": url, "api_key": "none", "max_retries": 0}
        client = openai.OpenAI(**self.options)
        self.complete, self.embed = client.chat.completions.create, client.embeddings.create
        self.question = {"messages": [{"role": "user", "content": QUESTION}]}

    async def complete_async(self, **arguments):
        import openai

        async with openai.AsyncOpenAI(**self.options) as client:
            return await client.chat.completions.create(**arguments)


def text(answer):
    """Return the text of an answer, or of an event of a stream."""
    choice = answer.choices[0]
    part = getattr(choice, "message", None) or getattr(choice, "delta", None)
    return choice.text if part is None else part.content or ""


def prepare(context):
    import openai

    return (Client if hasattr(openai, "OpenAI") else OldClient)(context.url + "/v1")


def call(context):
    client = context.ready
    ask = dict(client.question, model="gpt-4o")
    texts = [text(client.complete(**ask)), loops.run(ask_async(client, ask))]
    texts.append("".join(map(text, client.complete(stream=True, **ask))))
    vector = client.embed(model="text-embedding-3-small", input=context.shop).data[0]
    return "%s, %d" % (", ".join(texts), len(vector.embedding))


async def ask_async(client, ask):
    return text(await client.complete_async(**ask))


def fail(context):
    context.ready.complete(model="lost", **context.ready.question)
