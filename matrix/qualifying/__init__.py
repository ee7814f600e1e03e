"""Release qualification: a policy, the gate it asks for, and a signed statement of what passed."""
