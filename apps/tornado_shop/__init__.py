"""The bookshop on Tornado."""
