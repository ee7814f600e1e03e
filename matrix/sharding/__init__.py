"""One run by many machines that do not know each other: shared out, run in shards, collected."""
