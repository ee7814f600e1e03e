"""LangChain: a chain of a prompt, a model that needs no provider and a parser; one step raises."""

from __future__ import absolute_import

import loops

DISTRIBUTION = "langchain-core"
INTEGRATION = "langchain"
SPAN = [
    {
        "name": "langchain.request",
        "component": "langchain",
        "resource": "langchain_core.runnables.base.RunnableSequence",
    },
    {"name": "langchain.request", "resource": "*.FakeListChatModel"},
]
ERROR_SPAN = {"name": "langchain.request", "resource": "*.RunnableSequence"}
SERVICE = ""
PYTHON = ">=3.8"


def chain(step):
    from langchain_core.language_models.fake_chat_models import FakeListChatModel
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.runnables import RunnableLambda

    prompt = ChatPromptTemplate.from_messages([("human", "Which book has {shop}?")])
    model = FakeListChatModel(responses=["Emma"])
    return prompt | model | StrOutputParser() | RunnableLambda(step)


def prepare(context):
    import langchain_core  # noqa: F401


def call(context):
    shelves = chain(lambda title: title + " it is")
    ask = {"shop": context.shop}
    texts = [shelves.invoke(ask), "".join(shelves.stream(ask)), loops.run(shelves.ainvoke(ask))]
    return ", ".join(texts + shelves.batch([ask]))


def lose(title):
    raise LookupError("no such book: " + title)


def fail(context):
    chain(lose).invoke({"shop": context.shop})
