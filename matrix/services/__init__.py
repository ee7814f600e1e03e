"""Back ends of experiments: started on demand, shared by the cells of a run, stopped always."""
