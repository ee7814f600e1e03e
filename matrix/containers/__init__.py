"""Containers: a thin typed layer over docker-py, and nothing that knows what runs in them."""
