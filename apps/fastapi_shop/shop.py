"""The bookshop on FastAPI, for all releases from 0.64. CPython 3 only.

The first segment of each path names the shop. See ../README.md for the endpoints.
"""

import hashlib
import html

import fastapi
from fastapi import responses
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

import bookshop

SERVER = "asgi"
TRIED = [
    ["3.8", "0.64.0", "2021-06-01"],
    ["3.11", "0.95.0", "2023-06-01"],
    ["3.13", "0.118.0", "2025-11-01"],
]
# FastAPI reads forms with it.
ALSO = ["python-multipart"]

application = fastapi.FastAPI()
# The password is of a sample shop: a quick digest is enough.
PASSWORDS = {bookshop.USER: hashlib.sha256(bookshop.PASSWORD.encode()).hexdigest()}


def open_shops():
    """Create the database."""
    bookshop.open_shops()


def text(body, status=200):
    return PlainTextResponse(body, status)


@application.get("/{shop}/")
def home(shop: str):
    return text("Welcome to " + shop)


@application.get("/{shop}/search")
def search(shop: str, q: str = ""):
    titles = [title for title in ("Emma", "Kokoro", "Middlemarch") if q.lower() in title.lower()]
    found = ", ".join(titles) or "nothing found"
    return HTMLResponse("<h1>%s</h1><p>%s</p>" % (html.escape(q), found))


@application.get("/{shop}/books/{slug}")
def book(shop: str, slug: str):
    return text(bookshop.title_of(slug) + ", at " + shop)


@application.get("/{shop}/greeting")
def greeting(shop: str, request: fastapi.Request):
    name = request.cookies.get("name", "stranger")
    return text(bookshop.greeting(name, request.headers.get("Accept-Language", "")))


@application.get("/{shop}/orders")
def orders(shop: str):
    return {"shop": shop, "orders": bookshop.count_orders(shop)}


@application.post("/{shop}/orders")
def place_order(shop: str, order: dict = fastapi.Body(...)):
    count = bookshop.place_order(shop, order["book"], order["copies"])
    return JSONResponse({"book": order["book"], "copies": order["copies"], "orders": count}, 201)


@application.post("/{shop}/reviews")
def add_review(shop: str, book: str = fastapi.Form(""), text: str = fastapi.Form("")):
    bookshop.add_review(shop, book, text)
    return PlainTextResponse("Thank you", 201)


@application.post("/{shop}/login")
def login(shop: str, username: str = fastapi.Form(""), password: str = fastapi.Form("")):
    if PASSWORDS.get(username) != hashlib.sha256(password.encode()).hexdigest():
        return text("Wrong user name or password", 401)
    return text("Welcome back, " + username)


@application.get("/{shop}/stock/{title}")
def stock(shop: str, title: str):
    return {"title": title, "copies": bookshop.copies_in_stock(title)}


@application.get("/{shop}/stock-error")
def stock_error(shop: str):
    return {"copies": bookshop.copies_in_warehouse()}


@application.get("/{shop}/broken")
def broken(shop: str):
    raise RuntimeError("the till is jammed")


@application.get("/{shop}/recommendations")
def recommendations(shop: str):
    return Response(bookshop.recommendations(shop), media_type="application/json")


# Vulnerable on purpose: see bookshop.py.


@application.get("/{shop}/checksum")
def checksum(shop: str, text: str = ""):
    return PlainTextResponse(bookshop.checksum(text))


@application.get("/{shop}/find")
def find(shop: str, title: str = ""):
    return {"titles": bookshop.find(title)}


@application.get("/{shop}/preview")
def preview(shop: str, file: str = ""):
    return text(bookshop.preview(file))


@application.get("/{shop}/convert")
def convert(shop: str, name: str = ""):
    return text(bookshop.convert(name))


@application.get("/{shop}/label")
def label(shop: str, program: str = ""):
    return text(bookshop.label(program))


@application.get("/{shop}/receipt")
def receipt(shop: str, name: str = ""):
    return text(bookshop.receipt(name))


@application.get("/{shop}/supplier")
def supplier(shop: str, host: str = ""):
    return text(bookshop.supplier(host))


@application.get("/{shop}/cover")
def cover(shop: str, url: str = ""):
    return text(bookshop.cover(url))


@application.get("/{shop}/raffle")
def raffle(shop: str):
    return text(bookshop.raffle())


@application.get("/{shop}/price")
def price(shop: str, of: str = ""):
    return text(bookshop.price(of))


@application.get("/{shop}/unpack")
def unpack(shop: str, basket: str = ""):
    return text(bookshop.unpack(basket))


@application.get("/{shop}/trouble")
def trouble(shop: str):
    return text(bookshop.trouble())


@application.get("/{shop}/remember")
def remember(shop: str, name: str = "", lacks: str = ""):
    response = text("We remember you")
    response.set_cookie("name", name, **bookshop.cookie_options(lacks))
    return response


@application.get("/{shop}/shelf")
def shelf(shop: str, name: str = ""):
    response = text("See the header")
    response.headers["X-Shelf"] = name
    return response


@application.get("/{shop}/moved")
def moved(shop: str, to: str = ""):
    # By its name in the module, where a tool may have replaced it.
    return responses.RedirectResponse(to, 302)


@application.get("/{shop}/note")
def note(shop: str, text: str = ""):
    return HTMLResponse("<p>" + text + "</p>")
