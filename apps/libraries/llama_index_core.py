"""LlamaIndex: a chat and a completion, also as a stream, with a model that needs no provider."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "llama-index-core"
INTEGRATION = "llama_index"
SPAN = {"name": "llama_index.request", "component": "llama_index"}
ERROR_SPAN = {"name": "llama_index.request", "component": "llama_index"}
SERVICE = ""
PYTHON = ">=3.9"


def prepare(context):
    import llama_index.core  # noqa: F401
    from llama_index.core.llms import MockLLM

    class Lost(MockLLM):
        def complete(self, prompt, formatted=False, **options):
            raise LookupError("no such book: " + prompt)

    return MockLLM(), Lost()


def call(context):
    from llama_index.core.llms import ChatMessage

    model, _ = context.ready
    question = [ChatMessage(role="user", content="Which book?")]
    texts = [model.complete("Emma").text, model.chat(question).message.content]
    texts.append(list(model.stream_complete("Emma"))[-1].text)
    texts.append(loops.run(model.acomplete("Emma")).text)
    return ", ".join(texts)


def fail(context):
    context.ready[1].complete("Emma")
