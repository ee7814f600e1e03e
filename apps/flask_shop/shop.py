"""The bookshop on Flask, for all releases from 0.10.

The first segment of each path names the shop. See ../README.md for the endpoints.
"""

import flask
from markupsafe import escape
from werkzeug.security import check_password_hash, generate_password_hash

import bookshop

SERVER = "wsgi"
TRIED = [
    ["2.7", "0.10", "2020-06-01"],
    ["3.6", "1.0", "2021-06-01"],
    ["3.11", "0.10", "2023-06-01"],
    ["3.13", "3.1.1", "2025-11-01"],
]
# One round only: logins should be quick, and the sample password needs no protection.
PASSWORD_METHOD = "pbkdf2:sha256:1"

application = flask.Flask(__name__)
application.secret_key = "sessions of a sample shop are no secret"


def open_shops():
    """Create the database with its user."""
    bookshop.open_shops()
    password = generate_password_hash(bookshop.PASSWORD, method=PASSWORD_METHOD)
    with bookshop.database() as db:
        db.execute("CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, password TEXT)")
        db.execute("INSERT OR REPLACE INTO users VALUES (?, ?)", (bookshop.USER, password))


def text(body, status=200):
    return flask.Response(body, status=status, mimetype="text/plain")


def answer(status=200, **values):
    response = flask.jsonify(**values)
    response.status_code = status
    return response


@application.route("/<shop>/")
def home(shop):
    return text("Welcome to " + shop)


@application.route("/<shop>/search")
def search(shop):
    q = flask.request.args.get("q", "")
    titles = [title for title in ("Emma", "Kokoro", "Middlemarch") if q.lower() in title.lower()]
    return "<h1>%s</h1><p>%s</p>" % (escape(q), ", ".join(titles) or "nothing found")


@application.route("/<shop>/books/<slug>")
def book(shop, slug):
    return text(bookshop.title_of(slug) + ", at " + shop)


@application.route("/<shop>/greeting")
def greeting(shop):
    name = flask.request.cookies.get("name", "stranger")
    return text(bookshop.greeting(name, flask.request.headers.get("Accept-Language", "")))


@application.route("/<shop>/orders", methods=["GET"])
def orders(shop):
    return answer(shop=shop, orders=bookshop.count_orders(shop))


@application.route("/<shop>/orders", methods=["POST"])
def place_order(shop):
    order = flask.request.get_json()
    count = bookshop.place_order(shop, order["book"], order["copies"])
    return answer(201, book=order["book"], copies=order["copies"], orders=count)


@application.route("/<shop>/reviews", methods=["POST"])
def add_review(shop):
    form = flask.request.form
    bookshop.add_review(shop, form.get("book", ""), form.get("text", ""))
    return text("Thank you", 201)


@application.route("/<shop>/login", methods=["POST"])
def login(shop):
    name = flask.request.form.get("username", "")
    with bookshop.database() as db:
        row = db.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
    password = flask.request.form.get("password", "")
    # Werkzeug on CPython 2.7 accepts native strings only.
    if row is None or not check_password_hash(str(row[0]), password):
        return text("Wrong user name or password", 401)
    flask.session["user"] = name
    return text("Welcome back, " + name)


@application.route("/<shop>/stock/<title>")
def stock(shop, title):
    return answer(title=title, copies=bookshop.copies_in_stock(title))


@application.route("/<shop>/stock-error")
def stock_error(shop):
    return answer(copies=bookshop.copies_in_warehouse())


@application.route("/<shop>/broken")
def broken(shop):
    raise RuntimeError("the till is jammed")


@application.route("/<shop>/recommendations")
def recommendations(shop):
    return flask.Response(bookshop.recommendations(shop), mimetype="application/json")


# Vulnerable on purpose: see bookshop.py.


@application.route("/<shop>/checksum")
def checksum(shop):
    return text(bookshop.checksum(flask.request.args.get("text", "")))


@application.route("/<shop>/find")
def find(shop):
    return answer(titles=bookshop.find(flask.request.args.get("title", "")))


@application.route("/<shop>/preview")
def preview(shop):
    return text(bookshop.preview(flask.request.args.get("file", "")))


@application.route("/<shop>/convert")
def convert(shop):
    return text(bookshop.convert(flask.request.args.get("name", "")))


@application.route("/<shop>/label")
def label(shop):
    return text(bookshop.label(flask.request.args.get("program", "")))


@application.route("/<shop>/receipt")
def receipt(shop):
    return text(bookshop.receipt(flask.request.args.get("name", "")))


@application.route("/<shop>/supplier")
def supplier(shop):
    return text(bookshop.supplier(flask.request.args.get("host", "")))


@application.route("/<shop>/cover")
def cover(shop):
    return text(bookshop.cover(flask.request.args.get("url", "")))


@application.route("/<shop>/raffle")
def raffle(shop):
    return text(bookshop.raffle())


@application.route("/<shop>/price")
def price(shop):
    return text(bookshop.price(flask.request.args.get("of", "")))


@application.route("/<shop>/unpack")
def unpack(shop):
    return text(bookshop.unpack(flask.request.args.get("basket", "")))


@application.route("/<shop>/trouble")
def trouble(shop):
    return text(bookshop.trouble())


@application.route("/<shop>/remember")
def remember(shop):
    response = text("We remember you")
    name, lacks = flask.request.args.get("name", ""), flask.request.args.get("lacks", "")
    response.set_cookie("name", name, **bookshop.cookie_options(lacks))
    return response


@application.route("/<shop>/shelf")
def shelf(shop):
    response = text("See the header")
    response.headers["X-Shelf"] = flask.request.args.get("name", "")
    return response


@application.route("/<shop>/moved")
def moved(shop):
    return flask.redirect(flask.request.args.get("to", ""))


@application.route("/<shop>/note")
def note(shop):
    return flask.render_template_string("<p>{{ note|safe }}</p>", note=flask.request.args["text"])
