"""The process that reads the private key: it signs one statement, and ends.

It is started when a run is over, in isolation from the environment's settings of Python, and no
cell ever ran in it. The process that ran the cells does not open the key's file.

The two talk by the standard streams. The new process writes a line of JSON: the id of the key, or
the error. Then it reads a statement up to the end of its input, and writes the envelope.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from matrix.errors import UnreadableInputError, UserError
from matrix.features.qualification.signatures import Signer, load_signer, sign_statement
from matrix.features.qualification.signoff import ENVELOPE
from matrix.features.qualification.statement import parse_statement
from matrix.system.paths import project_root

_CODE = f"import sys; sys.path.insert(0, sys.argv[1]); from {__name__} import main; main()"
_SECONDS = 60.0
_HINT = "The results are kept: the same command does not run them again."


@contextlib.contextmanager
def start_signer(key: Path) -> Iterator[Signer]:
    """Yield a signer that has read the key in a process of its own.

    Raises `UnreadableInputError` for an unusable key, and where the process fails.
    """
    command = (sys.executable, "-I", "-c", _CODE, str(project_root()), str(key))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield _signer(process)
        finally:
            process.kill()


def _signer(process: subprocess.Popen[bytes]) -> Signer:
    assert process.stdout is not None  # noqa: S101 - a pipe
    answer = json.loads(process.stdout.readline() or b"{}")
    if "key" not in answer:
        message = answer.get("message", "the process that signs has failed")
        raise UnreadableInputError(message, f"{answer.get('hint', '')} {_HINT}".strip())

    def sign(statement: bytes) -> bytes:
        envelope, _ = process.communicate(statement, _SECONDS)
        if process.returncode:
            raise UnreadableInputError("the process that signs has failed", _HINT)
        return envelope

    check = f"python -m matrix check-signoff {ENVELOPE} --key PUBLIC-KEY"
    return Signer(sign, ENVELOPE, f"the key {answer['key']}", check)


def main() -> None:
    """Sign the statement on standard input with the key in the file of the last argument."""
    try:
        signer = load_signer(Path(sys.argv[-1]))
    except UserError as error:
        _answer(message=error.message, hint=error.hint)
        return
    _answer(key=signer.public_key.keyid)
    statement = sys.stdin.buffer.read()
    if statement:
        parse_statement(statement)  # Nothing else is signed.
        sys.stdout.buffer.write(sign_statement(statement, signer))


def _answer(**fields: str) -> None:
    sys.stdout.write(f"{json.dumps(fields)}\n")
    sys.stdout.flush()
