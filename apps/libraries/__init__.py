"""One module per library: plain literals that say what it is, and functions that use it.

The literals are read without importing the module (see `matrix/integrations`); README.md lists them.
"""
