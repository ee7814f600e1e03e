"""A run as JUnit XML (xunit2): a document is a test suite, a claim is a test case.

Unverified claims are skipped with their reason and never pass: the cases that neither failed nor
were skipped are the confirmed claims.
https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Iterator

from junitparser import Failure, Skipped
from junitparser.xunit2 import JUnitXml, TestCase, TestSuite

from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, Verdict
from matrix.probes.places import shapes_of
from matrix.reporting.breakage import breakage_of
from matrix.reporting.text import load_reasons, outcome_text, promise_text
from matrix.runs.record import Record
from matrix.system.visible import MOST_TEXT, powerless_markup, shown, visible

MAX_JUNIT_BYTES = 10_000_000
"""The size of a file in bytes above which its texts are cut shorter."""
# Characters that XML 1.0 cannot contain: https://www.w3.org/TR/xml/#charsets
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(record: Record) -> str:
    """Return the text of the file; its texts are cut where it is larger than `MAX_JUNIT_BYTES`."""
    text = ""
    for longest in (MOST_TEXT, 400, 40):
        text = _xml(shown(record, longest), longest)
        if len(text.encode()) <= MAX_JUNIT_BYTES:
            break
    return text


def _xml(record: Record, longest: int) -> str:
    suites = JUnitXml("compatibility")
    for number, document in enumerate(dict.fromkeys(claim.document for claim in record.claims)):
        suites.add_testsuite(_suite(record, document, number, longest))
    text = io.BytesIO()
    suites.write(text)
    return powerless_markup(text.getvalue().decode("utf-8")) + "\n"


def _suite(record: Record, document: str, number: int, longest: int) -> TestSuite:
    suite = TestSuite(_writable(document))
    suite.id = str(number)
    suite.timestamp = _timestamp(record.run.started)
    suite.hostname = "localhost"
    # Together: one by one takes time that grows with the square of their number.
    suite.add_testcases(
        [
            _case(record, claim, record.verdict_by_claim[claim.id], longest)
            for claim in record.claims
            if claim.document == document
        ]
    )
    for name, value in _properties(record):
        suite.add_property(name, _writable(value))
    return suite


def _case(record: Record, claim: Claim, verdict: Verdict, longest: int) -> TestCase:
    def bounded(text: str) -> str:
        return _writable(text if len(text) <= longest else f"{text[: longest - 1]}…")

    name = f"{promise_text(claim)} (line {claim.line})"
    cells = [found for cell in verdict.cells if (found := record.cell_records.get(cell))]
    # Rounded: 0.1 + 0.2 has too many digits.
    seconds = round(sum(cell.seconds for cell in cells), 3)
    case = TestCase(bounded(name), bounded(claim.document), seconds)
    case.system_out = bounded("\n".join(_output(claim, verdict)))
    outcome = outcome_text(verdict)
    match verdict.outcome:
        case Outcome.REFUTED:
            broken = breakage_of(verdict)
            message = evidence_text(verdict.facts)
            failure = Failure(bounded(f"{broken.line}. {message}" if broken else message), outcome)
            lines = [evidence_text(part.facts) for part in verdict.parts]
            lines += broken.commands if broken else ()
            failure.text = bounded("\n".join(lines))
            case.result = [failure]
        case Outcome.UNVERIFIED:
            case.result = [Skipped(bounded(_skip_message(verdict)), outcome)]
        case Outcome.CONFIRMED:
            # Not green for a CI system: only the deployment itself is.
            if shapes_of(verdict.cells):
                case.result = [Skipped(bounded(evidence_text(verdict.facts)), outcome)]
    return case


def _skip_message(verdict: Verdict) -> str:
    if verdict.reason is None:
        return evidence_text(verdict.facts)
    title = load_reasons()[verdict.reason].title
    return f"{verdict.reason.value}: {title}. {evidence_text(verdict.facts)}"


def _output(claim: Claim, verdict: Verdict) -> Iterator[str]:
    yield f"claim: {claim.id}"
    yield f"where: {claim.document}:{claim.line}, under {claim.heading!r}"
    yield f"verdict: {outcome_text(verdict)}"
    yield f"evidence: {evidence_text(verdict.facts)}"
    yield from (f"remark: {remark_text(remark)}" for remark in verdict.remarks)
    yield from (f"cell: {cell.id}" for cell in verdict.cells)


def _properties(record: Record) -> Iterator[tuple[str, str]]:
    yield "run", record.name or record.sha256
    yield "profile", record.run.profile
    yield "as of", record.run.as_of
    yield "interrupted", str(record.run.interrupted).lower()


def _timestamp(started: str) -> str:
    """Return a time as the schema requires: UTC, without an offset."""
    when = dt.datetime.fromisoformat(started)
    if when.tzinfo is not None:
        when = when.astimezone(dt.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S")


def _writable(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", visible(text))
