"""The bookshop on FastAPI."""
