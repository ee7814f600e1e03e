"""The bookshop on Bottle."""
