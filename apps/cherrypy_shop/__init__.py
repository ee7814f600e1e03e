"""The bookshop on CherryPy."""
