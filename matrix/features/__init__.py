"""Features that stand on the pipeline, one package each."""
