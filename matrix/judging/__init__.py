"""From captures to findings to verdicts; pure, so that any capture can be judged again.

Imports the model and the packages that read a capture; runs nothing.
"""

from matrix.judging.cells import cell_failure, findings_of
from matrix.judging.claims import judge
from matrix.judging.controls import waits_for
from matrix.judging.parts import judge_part
from matrix.judging.stepping import NOWHERE
from matrix.judging.table import FindingTable

__all__ = [
    "NOWHERE",
    "FindingTable",
    "cell_failure",
    "findings_of",
    "judge",
    "judge_part",
    "waits_for",
]
