"""Recorded runs made into what people decide by: a page, files for other programs, differences."""
