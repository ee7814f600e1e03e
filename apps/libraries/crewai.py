"""CrewAI: a crew of one agent with one task; a model that does not exist."""

from __future__ import absolute_import

DISTRIBUTION = "crewai"
INTEGRATION = "crewai"
SPAN = [
    {"name": "CrewAI Crew", "component": "crewai", "resource": "Crew Kickoff"},
    {"name": "crewai.request", "component": "crewai", "resource": "CrewAI Task"},
    {"name": "seller", "component": "crewai", "resource": "CrewAI Agent"},
]
ERROR_SPAN = {"name": "CrewAI Crew", "component": "crewai", "resource": "Crew Kickoff"}
SERVICE = "models"
PYTHON = ">=3.10"


def prepare(context):
    import os

    # Otherwise it reports to its vendor, and its model's library downloads a list of prices.
    os.environ.update(
        CREWAI_DISABLE_TELEMETRY="true",
        OTEL_SDK_DISABLED="true",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    import crewai  # noqa: F401


def kickoff(context, model):
    import crewai

    llm = crewai.LLM(model="openai/" + model, base_url=context.url + "/v1", api_key="none")
    seller = crewai.Agent(role="seller", goal="sell", backstory="a shop", llm=llm)
    task = crewai.Task(description="Which book?", expected_output="a title", agent=seller)
    return crewai.Crew(agents=[seller], tasks=[task]).kickoff().raw


def call(context):
    return kickoff(context, "gpt-4o")


def fail(context):
    kickoff(context, "lost")
