"""A container engine behind a typed client; knows nothing of what runs in a container."""
