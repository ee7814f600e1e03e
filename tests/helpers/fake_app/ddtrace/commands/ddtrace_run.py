"""Run its arguments, as the real one does."""

import os
import sys


def main() -> None:
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
