"""LangGraph's prebuilt agent, with a model that needs no provider; one that has no answer."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "langgraph-prebuilt"
INTEGRATION = "langgraph"
SPAN = [
    {"name": "langgraph.request", "component": "langgraph", "resource": "*CompiledStateGraph*"},
    {"name": "langgraph.request", "resource": "*RunnableSeq*"},
]
ERROR_SPAN = {"name": "langgraph.request", "resource": "*CompiledStateGraph*"}
SERVICE = ""
PYTHON = ">=3.9"
ALSO = [["", "langgraph"]]
ASK = {"messages": [("user", "Which book?")]}


def agent(*answers):
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langgraph.prebuilt import create_react_agent

    return create_react_agent(GenericFakeChatModel(messages=iter(answers)), [])


def prepare(context):
    import langgraph.prebuilt  # noqa: F401


def call(context):
    seller = agent("Emma", "Kokoro")
    answers = [seller.invoke(ASK), loops.run(seller.ainvoke(ASK))]
    return ", ".join(answer["messages"][-1].content for answer in answers)


def lose(state):
    raise LookupError("no such book")


def fail(context):
    from langchain_core.runnables import RunnableLambda
    from langgraph.prebuilt import create_react_agent

    create_react_agent(RunnableLambda(lose), []).invoke(ASK)
