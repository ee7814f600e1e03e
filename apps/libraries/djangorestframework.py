"""Django REST framework: a view of a Django application."""

from __future__ import absolute_import

import json
import sys

import carrier
import pages

DISTRIBUTION = "djangorestframework"
INTEGRATION = "django"
SPAN = {
    "name": "django.request",
    "component": "django",
    "type": "web",
    "tags": {"http.status_code": "200"},
}
SERVICE = ""
# The CPythons of the Django releases that each release supports.
PYTHON = [
    ["<3.7", "<3.8"],
    ["<3.10", "<3.9"],
    ["<3.12", "<3.10"],
    ["<3.14", "<3.11"],
    ["<3.15", "<3.12"],
    ["<3.16", "<3.13"],
]
ALSO = [
    ["", "django"],
    ["<3.7", "django<2"],
    [">=3.7,<3.9", "django<2.1"],
    [">=3.9,<3.10", "django<2.3"],
    [">=3.10,<3.11", "django<3"],
    [">=3.11,<3.12", "django<3.1"],
    [">=3.12,<3.13", "django<3.2"],
    [">=3.13,<3.14", "django<4.1"],
    [">=3.14,<3.15", "django<4.2"],
    [">=3.15,<3.16", "django<5.1"],
]


def views():
    """Return the views by the pattern of their path: a class, and functions."""
    from rest_framework.decorators import api_view
    from rest_framework.exceptions import NotFound
    from rest_framework.response import Response
    from rest_framework.views import APIView

    class Book(APIView):
        def get(self, request, slug):
            return Response({"book": slug})

    def title(request):
        return Response({"book": "Emma"})

    def missing(request):
        raise NotFound("no such book")

    def broken(request):
        raise LookupError("no such book")

    found = {r"^books/(?P<slug>\w+)$": Book.as_view()}
    for view in (title, missing, broken):
        found["^%s$" % view.__name__] = api_view(["GET"])(view)
    return found


def handler500(request):
    """Tell the error, for which Django calls this function of the module of URLs."""
    from django.http import HttpResponseServerError

    return HttpResponseServerError("%s: %s" % (sys.exc_info()[0].__name__, sys.exc_info()[1]))


def prepare(context):
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="not one",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["127.0.0.1"],
        MIDDLEWARE=[],
        MIDDLEWARE_CLASSES=[],
        INSTALLED_APPS=["rest_framework"],
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "DEFAULT_PERMISSION_CLASSES": [],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "UNAUTHENTICATED_USER": None,
        },
    )
    django.setup()
    try:
        from django.urls import re_path
    except ImportError:  # before 2.0
        from django.conf.urls import url as re_path
    global urlpatterns
    urlpatterns = [re_path(pattern, view) for pattern, view in views().items()]
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def call(context):
    answers = [carrier.call_wsgi(context.ready, path) for path in ("/books/emma", "/title")]
    return ", ".join(json.loads(carrier.page_body(answer))["book"] for answer in answers)


def fail(context):
    pages.raise_wsgi_answers(context.ready, "/missing", "/broken")
