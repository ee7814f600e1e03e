"""Probes: what is sent to an app, and what counts as evidence."""
