"""Errors of builds: the line with the cause, found in the output of uv and pip."""

from __future__ import annotations

import time

import pytest

from matrix.environments.errors import find_cause, from_log
from matrix.model.reason import Reason

UV = """\
error: Failed to build `{name}`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.get_requires_for_build_wheel` failed (exit: 1)
         [stderr]
{output}
hint: Build failures usually indicate a problem with the package or the build environment
"""
WHEEL = """\
Building wheels for collected packages: {name}
  Running setup.py clean for {name}
Failed to build {name}
  ERROR: Command errored out with exit status 1:
   command: python -u -c 'import sys, setuptools, tokenize'
{output}
  error: command 'gcc' failed with exit status 1
  ----------------------------------------
  ERROR: Failed building wheel for {name}
ERROR: Failed to build one or more wheels
"""
EGG_INFO = """\
Collecting ddtrace==1.0.0
Collecting {name}
  Downloading {name}.tar.gz (607 kB)
    ERROR: Command errored out with exit status 1:
     command: python -c 'import sys, setuptools, tokenize'
    Complete output (7 lines):
    running egg_info
{output}
    ----------------------------------------
ERROR: Command errored out with exit status 1: python setup.py egg_info Check the logs.
"""
TRACEBACK = """\
         Traceback (most recent call last):
           File "<string>", line 3, in <module>
           File "/x/src/redis/client.py", line 5, in <module>
             from itertools import imap, izip, starmap
         ImportError: cannot import name 'imap' from 'itertools' (unknown location)"""
PG_CONFIG = """\
    Error: pg_config executable not found.
    If you prefer to avoid building psycopg2 from source, please install the PyPI 'psycopg2-binary'
    Error: b'You need to install postgresql-server-dev-X.Y'"""
MEMBERS = """\
  _mysql.c: In function 'ping':
  _mysql.c:1804:48: error: 'MYSQL' has no member named 'reconnect'
  _mysql.c:1805:48: error: 'MYSQL' has no member named 'another'"""
HEADER = """\
  shop.c:3:10: error: unknown type name 'shop'
  shop.c:1:10: fatal error: shop.h: No such file or directory"""
CYTHON = """\
         warning: src/a.pxd:112:33: Declarations should not be declared inline.
         src/a.pxd:181:6: Variables cannot be declared with 'cpdef'. Use 'cdef' instead.
         Traceback (most recent call last):
         Cython.Compiler.Errors.CompileError: src/gevent/greenlet.py"""
CONFIGURE = """\
         conftest.c:3:10: error: a question of configure's own
         ld: warning: nothing
         /usr/bin/ld: cannot find -lmemcached
         subprocess.CalledProcessError: Command 'make' returned non-zero exit status 2."""


@pytest.mark.parametrize(
    ("template", "output", "cause"),
    [
        (UV, TRACEBACK, "ImportError: cannot import name 'imap' from 'itertools'"),
        (EGG_INFO, TRACEBACK, "ImportError: cannot import name 'imap' from 'itertools'"),
        (UV, PG_CONFIG, "Error: pg_config executable not found."),
        (EGG_INFO, PG_CONFIG, "Error: pg_config executable not found."),
        (WHEEL, MEMBERS, "_mysql.c:1804:48: error: 'MYSQL' has no member named 'reconnect'"),
        (UV, HEADER, "shop.c:1:10: fatal error: shop.h: No such file or directory"),
        (UV, CYTHON, "src/a.pxd:181:6: Variables cannot be declared with 'cpdef'."),
        (UV, CONFIGURE, "/usr/bin/ld: cannot find -lmemcached"),
        (WHEEL, "  unable to execute 'gcc': No such file or directory", "unable to execute 'gcc'"),
        (WHEEL, "", "command 'gcc' failed with exit status 1"),
    ],
)
def test_a_failed_build_says_what_did_not_build_and_why(
    template: str, output: str, cause: str
) -> None:
    error = from_log(template.format(name="shop-thing", output=output))
    assert error.reason is Reason.BUILD_FAILED
    assert error.detail.startswith(f"cannot build shop-thing: {cause}")
    assert len(error.detail.splitlines()) == 1


def test_what_cannot_be_resolved_is_no_failed_build() -> None:
    error = from_log("  x No solution found\n  ╰─▶ Because shop==1 depends on till<2 and you ...")
    assert "cannot build" not in error.detail
    assert "shop==1 depends on till<2" in error.detail


@pytest.mark.parametrize(
    "word", ["fatal error: ", "command ", "No such file or directory: ", "x_config ", "a."]
)
def test_a_line_without_end_is_not_searched_without_end(word: str) -> None:
    began = time.process_time()
    assert find_cause([word * 4000, "ImportError: no thing"]) == "ImportError: no thing"
    assert time.process_time() - began < 1
