"""Claims to checks, parts and cells; pure."""
