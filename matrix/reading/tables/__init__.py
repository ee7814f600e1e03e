"""Tables to drafts of claims, one module per kind: a new kind is one new file with a `READER`."""
