"""The journal: what ended, flushed as it ends, so that nothing but the cells in flight is lost."""

from matrix.journal.captures import CaptureStore
from matrix.journal.entries import TRANSIENT, Entry, is_transient
from matrix.journal.judged import judged
from matrix.journal.keys import Sources, base_key, judge_key, probe_keys, result_key
from matrix.journal.lock import one_run
from matrix.journal.log import Journal, Reading

__all__ = [
    "TRANSIENT",
    "CaptureStore",
    "Entry",
    "Journal",
    "Reading",
    "Sources",
    "base_key",
    "is_transient",
    "judge_key",
    "judged",
    "one_run",
    "probe_keys",
    "result_key",
]
