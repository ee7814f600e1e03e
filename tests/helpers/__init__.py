"""Helpers of the tests: fakes at the seams, builders of data, programs that tests start."""
