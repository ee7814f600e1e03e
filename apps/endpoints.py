"""The endpoints of the bookshop, for shops that register them with their framework.

A shop hands each function a request with these methods, by the framework's own means: `part(name)`
of the path, `query(name)`, `form(name)`, `cookie(name, otherwise)` and `header(name)` return text,
"" where there is none, and `content()` returns the decoded JSON. The answer is a status, a media
type, text, and pairs of further headers. See README.md for the endpoints. Plain Python, 2.7 to 3.14.
"""

import hashlib
import json

import bookshop

try:
    from html import escape
except ImportError:  # 2.7
    from cgi import escape

TITLES = ("Emma", "Kokoro", "Middlemarch")
TEXT, HTML, JSON = "text/plain", "text/html", "application/json"
FORM, CONTENT = "form", "content"


def digest(password):
    """Return a digest of a password; a quick one is enough for that of a sample shop."""
    return hashlib.sha256(password.encode("utf-8")).hexdigest()


PASSWORDS = {bookshop.USER: digest(bookshop.PASSWORD)}


class Endpoint(object):
    """A function for a method and a path, such as `/{shop}/stock/{title}`.

    `reads` is FORM or CONTENT where the function reads the body of the request, "" elsewhere: some
    frameworks have to wait for a body before.
    """

    def __init__(self, method, path, function, reads=""):
        self.method, self.path, self.function, self.reads = method, path, function, reads
        self.name = function.__name__


def paths():
    """Return pairs of a path and its endpoints, for routers that have several methods at once."""
    found = []
    for endpoint in ENDPOINTS:
        for path, endpoints in found:
            if path == endpoint.path:
                endpoints.append(endpoint)
                break
        else:
            found.append((endpoint.path, [endpoint]))
    return found


def text(body, status=200, *headers):
    return status, TEXT, body, headers


def answer(status=200, **values):
    return status, JSON, json.dumps(values), ()


def home(request):
    return text("Welcome to " + request.part("shop"))


def search(request):
    q = request.query("q")
    titles = [title for title in TITLES if q.lower() in title.lower()]
    found = ", ".join(titles) or "nothing found"
    return 200, HTML, "<h1>%s</h1><p>%s</p>" % (escape(q), found), ()


def book(request):
    return text(bookshop.title_of(request.part("slug")) + ", at " + request.part("shop"))


def greeting(request):
    name = request.cookie("name", "stranger")
    return text(bookshop.greeting(name, request.header("Accept-Language")))


def orders(request):
    shop = request.part("shop")
    return answer(shop=shop, orders=bookshop.count_orders(shop))


def place_order(request):
    order = request.content()
    count = bookshop.place_order(request.part("shop"), order["book"], order["copies"])
    return answer(201, book=order["book"], copies=order["copies"], orders=count)


def add_review(request):
    bookshop.add_review(request.part("shop"), request.form("book"), request.form("text"))
    return text("Thank you", 201)


def login(request):
    name = request.form("username")
    if PASSWORDS.get(name) != digest(request.form("password")):
        return text("Wrong user name or password", 401)
    return text("Welcome back, " + name)


def stock(request):
    title = request.part("title")
    return answer(title=title, copies=bookshop.copies_in_stock(title))


def stock_error(request):
    return answer(copies=bookshop.copies_in_warehouse())


def broken(request):
    raise RuntimeError("the till is jammed")


def recommendations(request):
    return 200, JSON, bookshop.recommendations(request.part("shop")), ()


# Vulnerable on purpose: see bookshop.py.


def checksum(request):
    return text(bookshop.checksum(request.query("text")))


def find(request):
    return answer(titles=bookshop.find(request.query("title")))


def preview(request):
    return text(bookshop.preview(request.query("file")))


def convert(request):
    return text(bookshop.convert(request.query("name")))


def label(request):
    return text(bookshop.label(request.query("program")))


def receipt(request):
    return text(bookshop.receipt(request.query("name")))


def supplier(request):
    return text(bookshop.supplier(request.query("host")))


def cover(request):
    return text(bookshop.cover(request.query("url")))


def raffle(request):
    return text(bookshop.raffle())


def price(request):
    return text(bookshop.price(request.query("of")))


def unpack(request):
    return text(bookshop.unpack(request.query("basket")))


def trouble(request):
    return text(bookshop.trouble())


def remember(request):
    options = bookshop.cookie_options(request.query("lacks"))
    names = {"secure": "Secure", "httponly": "HttpOnly", "samesite": "SameSite=None"}
    cookie = "; ".join(["name=" + request.query("name")] + [names[each] for each in options])
    return text("We remember you", 200, ("Set-Cookie", cookie))


def shelf(request):
    return text("See the header", 200, ("X-Shelf", request.query("name")))


def moved(request):
    return text("", 302, ("Location", request.query("to")))


def note(request):
    return 200, HTML, "<p>" + request.query("text") + "</p>", ()


ENDPOINTS = (
    Endpoint("GET", "/{shop}/", home),
    Endpoint("GET", "/{shop}/search", search),
    Endpoint("GET", "/{shop}/books/{slug}", book),
    Endpoint("GET", "/{shop}/greeting", greeting),
    Endpoint("GET", "/{shop}/orders", orders),
    Endpoint("POST", "/{shop}/orders", place_order, CONTENT),
    Endpoint("POST", "/{shop}/reviews", add_review, FORM),
    Endpoint("POST", "/{shop}/login", login, FORM),
    Endpoint("GET", "/{shop}/stock/{title}", stock),
    Endpoint("GET", "/{shop}/stock-error", stock_error),
    Endpoint("GET", "/{shop}/broken", broken),
    Endpoint("GET", "/{shop}/recommendations", recommendations),
    Endpoint("GET", "/{shop}/checksum", checksum),
    Endpoint("GET", "/{shop}/find", find),
    Endpoint("GET", "/{shop}/preview", preview),
    Endpoint("GET", "/{shop}/convert", convert),
    Endpoint("GET", "/{shop}/label", label),
    Endpoint("GET", "/{shop}/receipt", receipt),
    Endpoint("GET", "/{shop}/supplier", supplier),
    Endpoint("GET", "/{shop}/cover", cover),
    Endpoint("GET", "/{shop}/raffle", raffle),
    Endpoint("GET", "/{shop}/price", price),
    Endpoint("GET", "/{shop}/unpack", unpack),
    Endpoint("GET", "/{shop}/trouble", trouble),
    Endpoint("GET", "/{shop}/remember", remember),
    Endpoint("GET", "/{shop}/shelf", shelf),
    Endpoint("GET", "/{shop}/moved", moved),
    Endpoint("GET", "/{shop}/note", note),
)
