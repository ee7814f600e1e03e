"""The bookshop on Sanic."""
