"""Modules for the libraries of integrations: literals that describe one, and functions that use it.

The literals are read without importing the module (see `matrix/probes`); README.md lists them.
"""
