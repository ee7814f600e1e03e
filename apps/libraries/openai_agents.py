"""OpenAI Agents: an agent answers by way of the provider; a model that does not exist."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "openai-agents"
INTEGRATION = "openai_agents"
SPAN = [
    {"name": "Agent workflow", "component": "openai_agents"},
    {"name": "seller", "component": "openai_agents"},
    {"name": "openai_agents.response", "component": "openai_agents"},
]
SERVICE = "models"
PYTHON = ">=3.9"
# It makes a record of openai without fields that later releases require, and its annotations are
# those of 3.10.
ALSO = [
    ["<0.3", "openai<2"],
    ["<0.18.3", "openai<2.45"],
    ["<0.9", "eval-type-backport; python_version < '3.10'"],
]


def prepare(context):
    import agents  # noqa: F401


async def run(context, model):
    import agents
    import openai

    client = openai.AsyncOpenAI(base_url=context.url + "/v1", api_key="none", max_retries=0)
    try:
        answers = []
        for kind in (agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel):
            seller = agents.Agent(name="seller", model=kind(model=model, openai_client=client))
            answers.append((await agents.Runner.run(seller, "Which book?")).final_output)
        return ", ".join(answers)
    finally:
        await client.close()


def call(context):
    return loops.run(run(context, "gpt-4o"))


def fail(context):
    return loops.run(run(context, "lost"))
