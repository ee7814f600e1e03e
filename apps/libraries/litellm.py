"""LiteLLM: a chat, whole, as a stream and by asyncio; a model that does not exist."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "litellm"
INTEGRATION = "litellm"
SPAN = [
    {
        "name": "litellm.request",
        "component": "litellm",
        "resource": "completion",
        "tags": {"litellm.request.model": "*gpt-4o"},
    },
    {"name": "litellm.request", "resource": "acompletion"},
]
ERROR_SPAN = {"name": "litellm.request", "resource": "completion"}
SERVICE = "models"
PYTHON = ">=3.8"
MESSAGES = [{"role": "user", "content": "Which book?"}]


def prepare(context):
    import os

    # Otherwise it downloads a list of prices.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.telemetry = False


def options(context, model="gpt-4o"):
    return {
        "model": "openai/" + model,
        "messages": MESSAGES,
        "api_base": context.url + "/v1",
        "api_key": "none",
        "max_retries": 0,
    }


def call(context):
    import litellm

    ask = options(context)
    answers = [litellm.completion(**ask), loops.run(litellm.acompletion(**ask))]
    texts = [answer.choices[0].message.content for answer in answers]
    chunks = litellm.completion(stream=True, **ask)
    texts.append("".join(chunk.choices[0].delta.content or "" for chunk in chunks))
    return ", ".join(texts)


def fail(context):
    import litellm

    litellm.completion(**options(context, "lost"))
