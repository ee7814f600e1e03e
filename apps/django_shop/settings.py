"""Settings of the bookshop, for all Djangos from 1.8."""

import bookshop

ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": bookshop.database_path()}}
DEBUG = False
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
# No CSRF protection, as only programs send requests.
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
MIDDLEWARE_CLASSES = MIDDLEWARE  # the name until Django 1.9
PASSWORD_HASHERS = ["django_shop.shop.QuickPasswordHasher"]
ROOT_URLCONF = "django_shop.shop"
SECRET_KEY = "sessions of a sample shop are no secret"
USE_TZ = True
