"""The causes that are recognized in the output of a build, or of a first import."""

from __future__ import annotations

import pytest

from matrix.judging.causes import build_cause, import_cause
from matrix.judging.sentences import evidence_text
from matrix.model.reason import Reason

PACKAGES = "/envs/1/lib/python3.13/site-packages"


def built(*lines: str, name: str = "books==1.0") -> str:
    return "\n".join([f"error: Failed to build `{name}`", "  cause: [stderr]", *lines])


def imported(error: str, *frames: str, statement: str = "import books") -> str:
    return "\n".join(
        [
            "WARNING:root:nothing of interest",
            "Traceback (most recent call last):",
            '  File "/work/apps/serve.py", line 56, in <module>',
            "    sys.exit(main(sys.argv[1:]))",
            '  File "/work/apps/libraries/books.py", line 5, in prepare',
            f"    {statement}",
            "    ^^^^^^^^^^^^",
            *frames,
            error,
        ]
    )


@pytest.mark.parametrize(
    ("line", "name", "package"),
    [
        ("/bin/sh: 1: mariadb_config: not found", "mariadb_config", "libmariadb-dev"),
        ("OSError: mariadb_config not found.", "mariadb_config", "libmariadb-dev"),
        ("sh: mysql_config: command not found", "mysql_config", "libmariadb-dev-compat"),
        ("Error: pg_config executable not found.", "pg_config", "libpq-dev"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'pg_config'",
            "pg_config",
            "libpq-dev",
        ),
        ("src/a.h:5:10: fatal error: sql.h: No such file or directory", "sql.h", "unixodbc-dev"),
        ("src/a.c:5:10: fatal error: 'ffi.h' file not found", "ffi.h", "libffi-dev"),
        (
            "src/a.h:42:10: fatal error: libmemcached/memcached.h: No such file or directory",
            "libmemcached/memcached.h",
            "libmemcached-dev",
        ),
        ("/usr/bin/ld: cannot find -lpq: No such file or directory", "pq", "libpq-dev"),
        ("error: command 'gcc' failed: No such file or directory", "gcc", "gcc"),
        ("unable to execute 'g++': No such file or directory", "g++", "g++"),
    ],
)
def test_a_build_without_a_file_of_the_system_names_it_and_its_package(
    line: str, name: str, package: str
) -> None:
    cause = build_cause(built(line))
    assert cause is not None
    assert cause.reason is Reason.SYSTEM_LIBRARY
    (fact,) = cause.facts
    (missing,) = fact.facts
    assert missing.text("name") == name
    assert package in missing.texts("packages")
    text = evidence_text(cause.facts)
    assert text.startswith("books==1.0 does not build: ")
    assert name in text
    assert package in text


def test_a_name_that_pkg_config_does_not_know_is_a_missing_package() -> None:
    cause = build_cause(
        built(
            "Trying pkg-config --exists mysqlclient",
            "Command 'pkg-config --exists mysqlclient' returned non-zero exit status 1.",
            "Exception: Can not find valid pkg-config name.",
        )
    )
    assert cause is not None
    assert "kg-config knows no mysqlclient, which Debian has in libmariadb-dev and" in (
        evidence_text(cause.facts)
    )


def test_a_header_of_an_unknown_package_is_named_without_one() -> None:
    cause = build_cause(built("a.c:1:10: fatal error: shelves.h: No such file or directory"))
    assert cause is not None
    assert cause.reason is Reason.SYSTEM_LIBRARY
    assert "shelves.h; the package that has it is not known here." in evidence_text(cause.facts)


@pytest.mark.parametrize(
    "line",
    [
        "c/_cffi_backend.c:407:23: error: lvalue required as left operand of assignment",
        "ImportError: cannot import name 'Feature' from 'setuptools'",
        "error in books setup command: use_2to3 is invalid.",
    ],
)
def test_a_build_that_fails_by_itself_names_the_requirement_and_the_error(line: str) -> None:
    cause = build_cause(built("/bin/sh: 1: whatever: not found", line, name="cffi==1.13.2"))
    assert cause is not None
    assert cause.reason is Reason.BUILD_FAILED
    text = evidence_text(cause.facts)
    assert text.startswith("cffi==1.13.2 does not build: ")
    assert line[1:].rstrip(".") in text


@pytest.mark.parametrize("log", ["", "uv took longer than 300 s", built("nothing to see")])
def test_output_without_a_cause_is_not_interpreted(log: str) -> None:
    assert build_cause(log) is None
    assert import_cause(log) is None


def test_a_missing_shared_library_is_the_system_s() -> None:
    cause = import_cause(
        imported(
            "ImportError: libodbc.so.2: cannot open shared object file: No such file or directory"
        )
    )
    assert cause is not None
    assert cause.reason is Reason.SYSTEM_LIBRARY
    assert evidence_text(cause.facts) == (
        "books does not import: The system has no libodbc.so.2, which Debian has in libodbc2."
    )


@pytest.mark.parametrize(
    ("error", "companion"),
    [
        ("AttributeError: module 'inspect' has no attribute 'getargspec'", ""),
        ("ModuleNotFoundError: No module named 'crypt'", ""),
        ("ModuleNotFoundError: No module named 'books.shelf'", ""),
        ("ModuleNotFoundError: No module named 'urllib3.packages.six.moves'", "urllib3"),
        ("ImportError: cannot import name '_check_name' from 'pymongo.database' (x)", "pymongo"),
        ("SyntaxError: invalid syntax", ""),
        ("ImportError: No module named util", ""),
    ],
)
def test_an_import_that_fails_names_the_module_the_error_and_the_companion(
    error: str, companion: str
) -> None:
    frames = (f'  File "{PACKAGES}/books/__init__.py", line 3, in <module>', "    from . import b")
    cause = import_cause(imported(error, *frames))
    assert cause is not None
    assert cause.reason is Reason.DOES_NOT_IMPORT
    (fact,) = cause.facts
    assert (fact.text("module"), fact.text("error")) == ("books", error)
    assert fact.text("companion") == companion
    assert ("companions of another time" in evidence_text(cause.facts)) is bool(companion)


def test_a_call_that_fails_is_no_import() -> None:
    error = "AttributeError: module 'books' has no attribute 'shelf'"
    assert import_cause(imported(error, statement="books.shelf()")) is None
    inside = (f'  File "{PACKAGES}/books/shelf.py", line 3, in open', "    import inspect")
    assert import_cause(imported(error, *inside, statement="books.open()")) is None
