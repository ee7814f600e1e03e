"""CrewAI: a crew of one agent with one task, whose model needs no provider; a model that fails."""

from __future__ import absolute_import

DISTRIBUTION = "crewai"
INTEGRATION = "crewai"
SPAN = [
    {"name": "CrewAI Crew", "component": "crewai", "resource": "Crew Kickoff"},
    {"name": "crewai.request", "component": "crewai", "resource": "CrewAI Task"},
    {"name": "seller", "component": "crewai", "resource": "CrewAI Agent"},
]
ERROR_SPAN = {"name": "CrewAI Crew", "component": "crewai", "resource": "Crew Kickoff"}
SERVICE = ""
PYTHON = ">=3.10"



def prepare(context):
    """Return a class of models that answer in the form that all releases require."""
    import os

    # Otherwise it reports to its vendor, and its model's library downloads a list of prices.
    os.environ.update(
        CREWAI_DISABLE_TELEMETRY="true",
        OTEL_SDK_DISABLED="true",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        OPENAI_API_KEY="none",
    )
    import crewai

    class Model(crewai.LLM):
        def call(self, *args, **options):
            if self.model.endswith("lost"):
                raise LookupError("no such book")
            return "Thought: I know.\nFinal Answer: Emma"

    return Model


def kickoff(context, model):
    import crewai

    seller = crewai.Agent(
        role="seller",
        goal="sell",
        backstory="a shop",
        llm=context.ready(model="openai/" + model),
        max_retry_limit=0,
    )
    task = crewai.Task(description="Which book?", expected_output="a title", agent=seller)
    return crewai.Crew(agents=[seller], tasks=[task]).kickoff().raw


def call(context):
    return kickoff(context, "gpt-4o")


def fail(context):
    kickoff(context, "lost")
