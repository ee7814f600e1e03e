"""The bookshop on Django, for all releases from 1.8.

The first segment of each path names the shop. See ../README.md for the endpoints.
"""

import json

from django import shortcuts
from django.apps import apps
from django.contrib import auth
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.utils import safestring
from django.utils.html import escape
from django.views.decorators.http import require_http_methods, require_POST

import bookshop

try:
    from django.urls import re_path
except ImportError:  # until Django 1.11
    from django.conf.urls import url as re_path

SERVER = "wsgi"
TRIED = [
    ["2.7", "1.8", "2020-06-01"],
    ["3.6", "1.11", "2021-06-01"],
    ["3.8", "2.2", "2023-06-01"],
    ["3.12", "4.2", "2024-06-01"],
    ["3.13", "5.2.7", "2025-11-01"],
]


class QuickPasswordHasher(PBKDF2PasswordHasher):
    """One round only: logins should be quick, and the sample password needs no protection."""

    iterations = 1


def open_shops():
    """Create the database with its user."""
    bookshop.open_shops()
    # Migrations would create the same tables, but slowly.
    if "auth_user" not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            for model in apps.get_models():
                editor.create_model(model)
        auth.get_user_model().objects.create_user(bookshop.USER, password=bookshop.PASSWORD)
    connection.close()


def text(body, status=200):
    return HttpResponse(body, status=status, content_type="text/plain; charset=utf-8")


def home(request, shop):
    return text("Welcome to " + shop)


def search(request, shop):
    q = request.GET.get("q", "")
    titles = [title for title in ("Emma", "Kokoro", "Middlemarch") if q.lower() in title.lower()]
    return HttpResponse("<h1>%s</h1><p>%s</p>" % (escape(q), ", ".join(titles) or "nothing found"))


def book(request, shop, slug):
    return text(bookshop.title_of(slug) + ", at " + shop)


def greeting(request, shop):
    name = request.COOKIES.get("name", "stranger")
    return text(bookshop.greeting(name, request.META.get("HTTP_ACCEPT_LANGUAGE", "")))


@require_http_methods(["GET", "POST"])
def orders(request, shop):
    if request.method == "GET":
        return JsonResponse({"shop": shop, "orders": bookshop.count_orders(shop)})
    order = json.loads(request.body.decode("utf-8"))
    count = bookshop.place_order(shop, order["book"], order["copies"])
    placed = {"book": order["book"], "copies": order["copies"], "orders": count}
    return JsonResponse(placed, status=201)


@require_POST
def add_review(request, shop):
    bookshop.add_review(shop, request.POST.get("book", ""), request.POST.get("text", ""))
    return text("Thank you", 201)


@require_POST
def login(request, shop):
    name = request.POST.get("username", "")
    user = auth.authenticate(username=name, password=request.POST.get("password", ""))
    if user is None:
        return text("Wrong user name or password", 401)
    auth.login(request, user)
    return text("Welcome back, " + name)


def stock(request, shop, title):
    return JsonResponse({"title": title, "copies": bookshop.copies_in_stock(title)})


def stock_error(request, shop):
    return JsonResponse({"copies": bookshop.copies_in_warehouse()})


def broken(request, shop):
    raise RuntimeError("the till is jammed")


def recommendations(request, shop):
    return HttpResponse(bookshop.recommendations(shop), content_type="application/json")


# Vulnerable on purpose: see bookshop.py.


def checksum(request, shop):
    return text(bookshop.checksum(request.GET.get("text", "")))


def find(request, shop):
    return JsonResponse({"titles": bookshop.find(request.GET.get("title", ""))})


def preview(request, shop):
    return text(bookshop.preview(request.GET.get("file", "")))


def convert(request, shop):
    return text(bookshop.convert(request.GET.get("name", "")))


def label(request, shop):
    return text(bookshop.label(request.GET.get("program", "")))


def receipt(request, shop):
    return text(bookshop.receipt(request.GET.get("name", "")))


def supplier(request, shop):
    return text(bookshop.supplier(request.GET.get("host", "")))


def cover(request, shop):
    return text(bookshop.cover(request.GET.get("url", "")))


def raffle(request, shop):
    return text(bookshop.raffle())


def price(request, shop):
    return text(bookshop.price(request.GET.get("of", "")))


def unpack(request, shop):
    return text(bookshop.unpack(request.GET.get("basket", "")))


def trouble(request, shop):
    return text(bookshop.trouble())


def remember(request, shop):
    response = text("We remember you")
    name, lacks = request.GET.get("name", ""), request.GET.get("lacks", "")
    response.set_cookie("name", name, **bookshop.cookie_options(lacks))
    return response


def shelf(request, shop):
    response = text("See the header")
    response["X-Shelf"] = request.GET.get("name", "")
    return response


def moved(request, shop):
    return shortcuts.redirect(request.GET.get("to", ""))


def note(request, shop):
    return HttpResponse("<p>" + safestring.mark_safe(request.GET.get("text", "")) + "</p>")


SHOP = "^(?P<shop>[^/]+)/"
urlpatterns = [
    re_path(SHOP + "$", home),
    re_path(SHOP + "search$", search),
    re_path(SHOP + "books/(?P<slug>[^/]+)$", book),
    re_path(SHOP + "greeting$", greeting),
    re_path(SHOP + "orders$", orders),
    re_path(SHOP + "reviews$", add_review),
    re_path(SHOP + "login$", login),
    re_path(SHOP + "stock/(?P<title>[^/]+)$", stock),
    re_path(SHOP + "stock-error$", stock_error),
    re_path(SHOP + "broken$", broken),
    re_path(SHOP + "recommendations$", recommendations),
    re_path(SHOP + "checksum$", checksum),
    re_path(SHOP + "find$", find),
    re_path(SHOP + "preview$", preview),
    re_path(SHOP + "convert$", convert),
    re_path(SHOP + "label$", label),
    re_path(SHOP + "receipt$", receipt),
    re_path(SHOP + "supplier$", supplier),
    re_path(SHOP + "cover$", cover),
    re_path(SHOP + "raffle$", raffle),
    re_path(SHOP + "price$", price),
    re_path(SHOP + "unpack$", unpack),
    re_path(SHOP + "trouble$", trouble),
    re_path(SHOP + "remember$", remember),
    re_path(SHOP + "shelf$", shelf),
    re_path(SHOP + "moved$", moved),
    re_path(SHOP + "note$", note),
]
application = get_wsgi_application()
