"""Cells on other machines: a Dask cluster of workers that `python -m matrix worker` starts."""
