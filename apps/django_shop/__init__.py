"""The bookshop as a Django app: `django_shop.shop.application`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_shop.settings")
