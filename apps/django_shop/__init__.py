"""The bookshop as a Django app: `django_shop.shop.application`."""
