"""Evidence: pure predicates over an observation, which probes combine."""
