"""Clusters of Kubernetes behind a typed client: connections, namespaces of runs, pods of cells."""
