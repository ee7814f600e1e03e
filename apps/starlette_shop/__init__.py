"""The bookshop on Starlette."""
