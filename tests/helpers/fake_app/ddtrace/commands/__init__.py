"""Stands in for the tracer: the app beside it sends the spans itself."""
