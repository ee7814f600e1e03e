"""Pydantic AI: an agent with a tool and a model that needs no provider; a tool that fails."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "pydantic-ai-slim"
SYNONYMS = [["pydantic-ai", "pydantic-ai-slim"]]
INTEGRATION = "pydantic_ai"
SPAN = [
    {"name": "pydantic_ai.agent", "component": "pydantic_ai", "resource": "seller"},
    {"name": "pydantic_ai.tool", "component": "pydantic_ai", "resource": "title"},
]
ERROR_SPAN = {"name": "pydantic_ai.agent", "component": "pydantic_ai", "resource": "seller"}
SERVICE = ""
PYTHON = ">=3.9"
# It imports a private module that OpenTelemetry removed.
ALSO = [["<1.33", "opentelemetry-api<1.38"]]


def title(slug: str) -> str:
    return "Emma"


def lose(slug: str) -> str:
    raise LookupError("no such book")


def agent(tool):
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    return Agent(TestModel(), name="seller", tools=[tool])


def prepare(context):
    import pydantic_ai  # noqa: F401


def call(context):
    loops.new_loop()
    seller = agent(title)
    texts = [loops.run(seller.run("Which book?")).output for _ in range(2)]
    return ", ".join(texts)


def fail(context):
    loops.run(agent(lose).run("Which book?"))
