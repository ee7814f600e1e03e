"""The options of `qualify`."""

from __future__ import annotations

import argparse
from pathlib import Path

from matrix.commands.numbers import cell_count
from matrix.planning.options import add_engine_options
from matrix.services.given import add_service_option

__all__ = ["add_qualify_options"]


def add_qualify_options(parser: argparse.ArgumentParser) -> None:
    """Declare the candidate, the policy, the run, and the signature."""
    parser.add_argument(
        "documents",
        nargs="*",
        type=Path,
        metavar="DOCUMENT",
        help="Markdown pages that promise (default: the facts that are committed)",
    )
    parser.add_argument(
        "--lenient", action="store_true", help="go on with what was understood of the documents"
    )
    _add_candidate(parser)
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="what is required, how old evidence may be, what is waived (default: capabilities,"
        " runtimes, frameworks and integrations on this machine's target; 14 days)",
    )
    parser.add_argument(
        "--record", metavar="FILE", help="run nothing: judge this recorded run, by file or name"
    )
    _add_run(parser)
    _add_signature(parser)


def _add_candidate(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("release")
    group.add_argument("--ddtrace", default="", metavar="VERSION", help="the release by version")
    group.add_argument(
        "--wheel",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="FILE",
        help="wheels of a release that nobody published",
    )
    group.add_argument(
        "--index-url", default="", metavar="URL", help="the index that has the release"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    asking = group.add_mutually_exclusive_group()
    asking.add_argument("--offline", action="store_true", help="use what is known of the index")
    asking.add_argument(
        "--refresh", action="store_true", help="ask the index again, however new the cache is"
    )
    group.add_argument("--fresh", action="store_true", help="use no result of an earlier run")
    group.add_argument(
        "--jobs", type=cell_count, metavar="N", help="cells at a time (default: two for each CPU)"
    )
    group.add_argument(
        "--keep", action="store_true", help="keep the folders and logs of the cells that run"
    )
    add_service_option(group)
    add_engine_options(parser)


def _add_signature(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sign-off")
    who = group.add_mutually_exclusive_group()
    who.add_argument("--key", type=Path, metavar="FILE", help="the private key that signs (PEM)")
    who.add_argument(
        "--keyless",
        action="store_true",
        help="sign as whoever an OIDC provider says this is (the package sigstore)",
    )
    who.add_argument(
        "--make-key", type=Path, metavar="FILE", help="make a pair of keys, and do nothing else"
    )
    group.add_argument("--out", type=Path, metavar="DIR", help="the new folder of the sign-off")
    group.add_argument(
        "--allow-dirty",
        action="store_true",
        help="sign though files of this project differ from its commit; the statement tells",
    )
