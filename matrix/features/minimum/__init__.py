"""The search for the lowest release in which something works."""
