"""Google ADK: an agent with a tool and a model that needs no provider; a tool that fails."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "google-adk"
INTEGRATION = "google_adk"
SPAN = [
    {"name": "google_adk.request", "component": "google_adk", "resource": "*Runner.run_async"},
    {"name": "google_adk.request", "component": "google_adk", "resource": "FunctionTool.*"},
]
ERROR_SPAN = {"name": "google_adk.request", "component": "google_adk", "resource": "*.run_async"}
SERVICE = ""
PYTHON = ">=3.9"
# It imports a package that OpenTelemetry required then, and does not require it.
ALSO = [["<1.1", "deprecated"]]


def title(slug: str) -> str:
    """Return the title of a book."""
    if slug == "lost":
        raise LookupError("no such book")
    return slug.title()


def prepare(context):
    """Return a class of models that ask for the title of their name, and answer with it."""
    from google.adk.models import BaseLlm, LlmResponse
    from google.genai import types

    class Model(BaseLlm):
        async def generate_content_async(self, llm_request, stream=False):
            answered = llm_request.contents[-1].parts[-1].function_response
            if answered:
                part = types.Part(text=answered.response["result"])
            else:
                part = types.Part.from_function_call(name="title", args={"slug": self.model})
            yield LlmResponse(content=types.Content(role="model", parts=[part]))

    return Model


async def ask(context, slug):
    from google.adk.agents import Agent
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    seller = Agent(name="seller", model=context.ready(model=slug), tools=[title])
    runner = InMemoryRunner(agent=seller, app_name="bookshop")
    who = {"user_id": "alice", "session_id": context.shop}
    await runner.session_service.create_session(app_name="bookshop", **who)
    question = types.Content(role="user", parts=[types.Part(text="Which book?")])
    answers = []
    async for event in runner.run_async(new_message=question, **who):
        answers += [part.text for part in event.content.parts if part.text]
    return ", ".join(answers)


def call(context):
    return loops.run(ask(context, "emma"))


def fail(context):
    loops.run(ask(context, "lost"))
