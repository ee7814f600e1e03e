"""Recorded runs: what `verify` wrote of each, read back strictly; every report is made of these."""

from matrix.records.reading import SCHEMA, parse_record, read_content, read_record
from matrix.records.record import CellLine, LeftOutLine, Record, RunFacts
from matrix.records.shelf import RecordShelf

__all__ = [
    "SCHEMA",
    "CellLine",
    "LeftOutLine",
    "Record",
    "RecordShelf",
    "RunFacts",
    "parse_record",
    "read_content",
    "read_record",
]
