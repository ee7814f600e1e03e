"""The machine that the project runs on: paths, data files, atomic files, processes, network."""
