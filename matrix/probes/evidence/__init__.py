"""Evidence: predicates over the observation of one request."""
