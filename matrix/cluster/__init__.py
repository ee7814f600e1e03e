"""One run on the workers of a Dask cluster, whose scheduler knows them all."""
