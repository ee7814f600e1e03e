"""Vertex AI: content, whole, as a stream and in a chat; a model that does not exist.

Its client asks a provider by gRPC or REST: here the stub of providers by REST, without an account.
"""

from __future__ import absolute_import

DISTRIBUTION = "vertexai"
SYNONYMS = [["google-cloud-aiplatform", "google-cloud-aiplatform"]]
INTEGRATION = "vertexai"
SPAN = [
    {
        "name": "vertexai.request",
        "component": "vertexai",
        "resource": "GenerativeModel.generate_content",
        "tags": {"vertexai.request.model": "gemini-1.5-flash"},
    },
    {"name": "vertexai.request", "resource": "ChatSession.send_message"},
]
ERROR_SPAN = {"name": "vertexai.request", "resource": "GenerativeModel.generate_content"}
SERVICE = "models"
PYTHON = ">=3.8"


def prepare(context):
    import vertexai
    import vertexai.generative_models  # noqa: F401
    from google.auth.credentials import AnonymousCredentials

    vertexai.init(
        project="bookshop",
        location="us-central1",
        api_endpoint=context.url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
    )


def call(context):
    from vertexai.generative_models import GenerativeModel

    model = GenerativeModel("gemini-1.5-flash")
    texts = [model.generate_content("Which book?").text]
    texts.append("".join(part.text for part in model.generate_content("Which?", stream=True)))
    texts.append(model.start_chat().send_message("Which book?").text)
    return ", ".join(texts)


def fail(context):
    from google.api_core.exceptions import NotFound
    from vertexai.generative_models import GenerativeModel

    try:
        GenerativeModel("lost").generate_content("Which book?")
    except NotFound as error:
        # Its text has the port of the provider.
        raise LookupError("%d %s" % (error.code, error.errors))
