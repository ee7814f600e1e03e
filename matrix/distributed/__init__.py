"""A run on several machines: shards that are collected, or a cluster."""
