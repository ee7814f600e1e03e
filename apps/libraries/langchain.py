"""LangChain's package of before and after its core: a model that needs no provider; one that fails."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "langchain"
INTEGRATION = "langchain"
SPAN = {"name": "langchain.request", "component": "langchain", "resource": "*.FakeListLLM"}
ERROR_SPAN = {"name": "langchain.request", "component": "langchain", "resource": "*.Lost"}
SERVICE = ""
PYTHON = ">=3.8"


def patch():
    from ddtrace import patch

    patch(langchain=True)


def prepare(context):
    import langchain  # noqa: F401

    try:
        from langchain_core.language_models.fake import FakeListLLM
    except ImportError:  # before 0.1
        from langchain.llms.fake import FakeListLLM

    class Lost(FakeListLLM):
        def _call(self, *arguments, **options):
            raise LookupError("no such book")

    return FakeListLLM(responses=["Emma", "Emma"]), Lost(responses=["Emma"])


def call(context):
    model, _ = context.ready
    question = ["Which book has %s?" % context.shop]
    answers = [model.generate(question), loops.run(model.agenerate(question))]
    return ", ".join(answer.generations[0][0].text for answer in answers)


def fail(context):
    context.ready[1].generate(["Which book?"])
