"""Places where interpreters may be found, one module each; each defines `SOURCE`."""
