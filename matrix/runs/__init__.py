"""A run: scheduler, workers, journal, captures and records."""
