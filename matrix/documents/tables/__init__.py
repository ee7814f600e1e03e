"""Table readers, one module per kind of table; each defines `READER`."""
