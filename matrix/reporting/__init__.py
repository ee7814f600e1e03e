"""What the user sees of a run: progress while it goes on, tables and JSON when it has ended."""
