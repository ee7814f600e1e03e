"""The bookshop on Falcon."""
