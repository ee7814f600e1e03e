"""OpenAI: a chat, whole, as a stream and by asyncio, and embeddings; a model that does not exist.

Before 1.0, the library is a set of classes with global settings.
"""

from __future__ import absolute_import

import loops

DISTRIBUTION = "openai"
INTEGRATION = "openai"
SPAN = [
    {
        "name": "openai.request",
        "component": "openai",
        "resource": "createChatCompletion",
        "tags": {"openai.request.model": "gpt-4o"},
    },
    {"name": "openai.request", "component": "openai", "resource": "createEmbedding"},
]
ERROR_SPAN = {
    "name": "openai.request",
    "component": "openai",
    "resource": "createChatCompletion",
    "tags": {"openai.request.model": "lost"},
}
SERVICE = "models"
PYTHON = ">=3.7"
# It passes `proxies` to httpx, which 0.28 removed.
ALSO = [[">=1,<1.55.3", "httpx<0.28"]]
MESSAGES = [{"role": "user", "content": "Which book?"}]


class OldClient(object):
    """The calls of releases before 1.0, under the names of later ones."""

    def __init__(self, url):
        import openai

        openai.api_base, openai.api_key = url, "none"

    def chat(self, **arguments):
        import openai

        return openai.ChatCompletion.create(**arguments)

    async def chat_async(self, **arguments):
        import openai

        return await openai.ChatCompletion.acreate(**arguments)

    def embed(self, **arguments):
        import openai

        return openai.Embedding.create(**arguments)


class Client(object):
    """The same calls of releases from 1.0 on."""

    def __init__(self, url):
        import openai

        options = {"base_url": url, "api_key": "none", "max_retries": 0}
        self.options = options
        client = openai.OpenAI(**options)
        self.chat, self.embed = client.chat.completions.create, client.embeddings.create

    async def chat_async(self, **arguments):
        import openai

        async with openai.AsyncOpenAI(**self.options) as client:
            return await client.chat.completions.create(**arguments)


def prepare(context):
    import openai

    return (Client if hasattr(openai, "OpenAI") else OldClient)(context.url + "/v1")


def call(context):
    ask = {"model": "gpt-4o", "messages": MESSAGES}
    answers = [context.ready.chat(**ask), loops.run(context.ready.chat_async(**ask))]
    texts = [answer.choices[0].message.content for answer in answers]
    deltas = [chunk.choices[0].delta for chunk in context.ready.chat(stream=True, **ask)]
    texts.append("".join(getattr(delta, "content", None) or "" for delta in deltas))
    vector = context.ready.embed(model="text-embedding-3-small", input=context.shop).data[0]
    return "%s, %s" % (", ".join(texts), len(vector.embedding))


def fail(context):
    context.ready.chat(model="lost", messages=MESSAGES)
