"""The functions of the bookshop apps, independent of the web framework. Plain Python, 2.7 to 3.14.

The last functions are vulnerable on purpose, for tests of Code Security and Exploit Prevention.
Never serve the apps to a network.
"""

import atexit
import contextlib
import hashlib
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import tempfile
import traceback

import inflection
import requests

TABLES = """
CREATE TABLE IF NOT EXISTS stock (title TEXT PRIMARY KEY, copies INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (shop TEXT NOT NULL, book TEXT NOT NULL, copies INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reviews (shop TEXT NOT NULL, book TEXT NOT NULL, text TEXT NOT NULL);
INSERT OR IGNORE INTO stock VALUES ('Emma', 3), ('Kokoro', 5), ('Middlemarch', 0);
"""
GREETINGS = {"de": "Hallo", "en": "Hello", "fr": "Bonjour", "ja": "Konnichiwa", "ko": "Annyeong"}
USER, PASSWORD = "alice", "wonderland"
CATALOGUE_SECONDS = 10
PREVIEWS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "previews")


def database_path():
    """Return the file of the database: $BOOKSHOP_DATABASE, else one in a new temporary folder."""
    if not os.environ.get("BOOKSHOP_DATABASE"):
        folder = tempfile.mkdtemp(prefix="bookshop-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["BOOKSHOP_DATABASE"] = os.path.join(folder, "bookshop.sqlite3")
    return os.environ["BOOKSHOP_DATABASE"]


@contextlib.contextmanager
def database():
    """Yield a connection that is committed on success, and always closed."""
    connection = sqlite3.connect(database_path())
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def open_shops():
    """Create the tables and the stock."""
    with database() as db:
        db.executescript("PRAGMA synchronous = OFF;" + TABLES)


def title_of(slug):
    """Return the title of a slug: `The Tale Of Genji` for `the-tale-of-genji`."""
    return inflection.titleize(slug)


def greeting(name, accepted):
    """Return a greeting in the first known language of an Accept-Language header."""
    for language in accepted.split(","):
        word = GREETINGS.get(language.split(";")[0].split("-")[0].strip().lower())
        if word:
            break
    else:
        word = GREETINGS["en"]
    return word + ", " + name


def place_order(shop, book, copies):
    """Record an order; return the number of orders that the shop has now."""
    with database() as db:
        db.execute("INSERT INTO orders VALUES (?, ?, ?)", (shop, book, copies))
    return count_orders(shop)


def count_orders(shop):
    """Return the number of orders that the shop has."""
    with database() as db:
        return db.execute("SELECT COUNT(*) FROM orders WHERE shop = ?", (shop,)).fetchone()[0]


def add_review(shop, book, text):
    """Record a review."""
    with database() as db:
        db.execute("INSERT INTO reviews VALUES (?, ?, ?)", (shop, book, text))


def copies_in_stock(title):
    """Return the number of copies of a title, 0 for an unknown one."""
    with database() as db:
        cursor = db.cursor()
        cursor.execute("SELECT copies FROM stock WHERE title = ?", (title,))
        row = cursor.fetchone()
    return row[0] if row else 0


def copies_in_warehouse():
    """Query a table that does not exist, to cause a database error."""
    with database() as db:
        return db.cursor().execute("SELECT copies FROM warehouse").fetchone()[0]


def recommendations(shop):
    """Return the recommendations for the shop from the catalogue, another service."""
    url = os.environ["BOOKSHOP_CATALOGUE_URL"] + "/recommendations/" + shop
    return requests.get(url, timeout=CATALOGUE_SECONDS).text


# The following functions are vulnerable on purpose.


def checksum(text):
    """Return a weak hash (MD5)."""
    return hashlib.md5(text.encode("utf-8")).hexdigest()


def find(title):
    """Return matching titles, by a statement that is open to SQL injection."""
    with database() as db:
        cursor = db.cursor()
        cursor.execute("SELECT title FROM stock WHERE title LIKE '%" + title + "%'")
        return [row[0] for row in cursor.fetchall()]


def preview(name):
    """Return the content of a file; open to path traversal."""
    with open(PREVIEWS + os.sep + name) as file:
        return file.read()


def convert(name):
    """Return the output of a shell command; open to command injection."""
    return output_of("echo " + name, shell=True)


def label(program):
    """Return the output of a program without a shell; open to command injection."""
    return output_of([program, "Emma"], shell=False)


def receipt(name):
    """Return the exit status of a shell command of `os.system`; open to command injection."""
    return str(os.system("echo >" + os.devnull + " " + name))


def supplier(host):
    """Return the answer of a supplier, on the catalogue's port; open to request forgery."""
    port = os.environ["BOOKSHOP_CATALOGUE_URL"].rpartition(":")[2]
    return requests.get("http://" + host + ":" + port + "/offers", timeout=CATALOGUE_SECONDS).text


def cover(url):
    """Return whether there is a picture at any URL; open to request forgery."""
    try:
        return str(requests.get(url, timeout=CATALOGUE_SECONDS).status_code)
    except requests.ConnectionError:
        return "no picture"


def raffle():
    """Return the number of a ticket, by a weak source of randomness."""
    return str(random.randint(1, 1000))


def price(expression):
    """Return the value of an expression; open to code injection."""
    return str(eval(expression))


def unpack(basket):
    """Return what a pickle contains; open to untrusted data."""
    return str(pickle.loads(basket.encode("ascii")))


def trouble():
    """Return the traceback of an exception, which leaks the paths and the lines of the code."""
    try:
        raise RuntimeError("the till is jammed")
    except RuntimeError:
        return traceback.format_exc()


def cookie_options(lacks):
    """Return the options of a cookie that lacks `secure`, `httponly` or `samesite`."""
    options = {name: True for name in ("secure", "httponly") if name != lacks}
    # By default frameworks differ, and the oldest know no such option.
    return dict(options, samesite="None") if lacks == "samesite" else options


def output_of(command, shell):
    """Return the standard output of a command, without the space around it."""
    process = subprocess.Popen(command, shell=shell, stdout=subprocess.PIPE)
    return process.communicate()[0].decode("utf-8", "replace").strip()
