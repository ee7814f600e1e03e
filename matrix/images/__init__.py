"""Images: one CPython for one target each, pulled from a registry or made here."""
