"""A single cell again: by hand, in a container of its own, or as a run."""
