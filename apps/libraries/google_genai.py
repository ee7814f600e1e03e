"""Google Gen AI: content, whole, as a stream and by asyncio; a model that does not exist."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "google-genai"
INTEGRATION = "google_genai"
SPAN = [
    {
        "name": "google_genai.request",
        "component": "google_genai",
        "resource": "Models.generate_content",
        "tags": {"google_genai.request.model": "gemini-2.0-flash"},
    },
    {"name": "google_genai.request", "resource": "Models.generate_content_stream"},
    {"name": "google_genai.request", "resource": "AsyncModels.generate_content"},
]
ERROR_SPAN = {"name": "google_genai.request", "resource": "Models.generate_content"}
SERVICE = "models"
PYTHON = ">=3.9"
ASK = {"model": "gemini-2.0-flash", "contents": "Which book?"}


def prepare(context):
    from google import genai

    return genai.Client(api_key="none", http_options={"base_url": context.url})


async def generate_async(context):
    # A client of its own, as its connections belong to a loop.
    return (await prepare(context).aio.models.generate_content(**ASK)).text


def call(context):
    models = context.ready.models
    texts = [models.generate_content(**ASK).text]
    texts.append("".join(chunk.text for chunk in models.generate_content_stream(**ASK)))
    texts.append(loops.run(generate_async(context)))
    return ", ".join(texts)


def fail(context):
    context.ready.models.generate_content(model="lost", contents="Which book?")
