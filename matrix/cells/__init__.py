"""One cell in its sandbox, from start to capture."""
