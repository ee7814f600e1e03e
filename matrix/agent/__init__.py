"""The recording agent, and the decoding of what it recorded."""
