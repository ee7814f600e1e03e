"""The bookshop as a Flask app: `flask_shop.shop.application`."""
