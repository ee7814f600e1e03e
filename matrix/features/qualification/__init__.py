"""The qualification of a release: policy, gate and signed statement."""
