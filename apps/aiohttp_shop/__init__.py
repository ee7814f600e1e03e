"""The bookshop on aiohttp."""
