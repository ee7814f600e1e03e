"""Parse compatibility documents (Markdown pages) into claims."""
