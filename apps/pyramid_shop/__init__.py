"""The bookshop on Pyramid."""
