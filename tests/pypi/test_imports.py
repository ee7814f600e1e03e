"""Tests of the imports found in Python files of any version, with their conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.pypi.imports import ImportCondition, ModuleImports, module_name, read_module

ALWAYS, PERHAPS, GUARDED = ImportCondition.ALWAYS, ImportCondition.PERHAPS, ImportCondition.GUARDED


def imports(
    source: str, path: str = "pkg/sub/mod.py"
) -> list[tuple[str, str, int, ImportCondition]]:
    module = read_module(path, source.encode())
    return [(item.module, item.name, item.line, item.condition) for item in module.imports]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a, b.c as d", [("a", "", 1, ALWAYS), ("b.c", "", 1, ALWAYS)]),
        ("from a import (b,\n c)", [("a", "b", 1, ALWAYS), ("a", "c", 1, ALWAYS)]),
        ("from . import x", [("pkg.sub", "x", 1, ALWAYS)]),
        ("from .. import x", [("pkg", "x", 1, ALWAYS)]),
        ("from ..y import x", [("pkg.y", "x", 1, ALWAYS)]),
        ("from .... import x", []),
        ("from __future__ import annotations", []),
        ("def f():\n  import a", [("a", "", 2, PERHAPS)]),
        ("if x:\n  import a\nelse:\n  import b", [("a", "", 2, PERHAPS), ("b", "", 4, PERHAPS)]),
        ("class C:\n  import a", [("a", "", 2, ALWAYS)]),
        ("with x:\n  import a", [("a", "", 2, ALWAYS)]),
        ("with suppress(ImportError):\n  import a", [("a", "", 2, GUARDED)]),
        (
            "try:\n  import a\nexcept ImportError:\n  import b",
            [("a", "", 2, GUARDED), ("b", "", 4, GUARDED)],
        ),
        ("try:\n  import a\nexcept (KeyError, ImportError):\n  pass", [("a", "", 2, GUARDED)]),
        ("try:\n  import a\nexcept KeyError:\n  pass", [("a", "", 2, ALWAYS)]),
        ("try:\n  import a\nfinally:\n  import b", [("a", "", 2, ALWAYS), ("b", "", 4, ALWAYS)]),
        ("def f():\n  try:\n    import a\n  except Exception:\n    pass", [("a", "", 3, GUARDED)]),
        ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", [("b", "", 4, ALWAYS)]),
        ("if typing.TYPE_CHECKING and x:\n  import a", []),
        ("match x:\n  case 1:\n    import a", [("a", "", 3, PERHAPS)]),
    ],
)
def test_what_guards_an_import(
    source: str, found: list[tuple[str, str, int, ImportCondition]]
) -> None:
    assert imports(source) == found


def test_python_2_is_read_line_by_line() -> None:
    source = '''"""
import not_this
"""
import a, b
from .c import (
    d,  # import nor_this
    e,
)
print "import nor that"
if x:
    import f
try:
    import g
except ImportError, error:
    pass
from h import \\
    i
exec "import j"
'''
    module = read_module("pkg/mod.py", source.encode())
    assert not module.exact
    assert [(item.module, item.name, item.line, item.condition) for item in module.imports] == [
        ("a", "", 4, ALWAYS),
        ("b", "", 4, ALWAYS),
        ("pkg.c", "d", 5, ALWAYS),
        ("pkg.c", "e", 5, ALWAYS),
        ("f", "", 11, PERHAPS),
        ("g", "", 13, PERHAPS),
        ("h", "i", 16, ALWAYS),
    ]


def test_a_package_tells_its_names_unless_they_are_open() -> None:
    source = b"import a.b\nfrom c import d as e\ndef f(): pass\nif x:\n  g = 1"
    assert read_module("p/__init__.py", source).names == ("a", "e", "f", "g")
    assert read_module("p/__init__.py", b"from c import *").names is None
    assert read_module("p/__init__.py", b"def __getattr__(name): ...").names is None
    assert read_module("p/__init__.py", b"globals()['x'] = 1").names is None
    assert read_module("p/mod.py", b"x = 1").names is None


def test_modules_are_named_by_their_path() -> None:
    assert module_name("a/b/__init__.py") == "a.b"
    assert module_name("a/b.py") == "a.b"


@given(st.text(alphabet="import fromtry:\n\t \\\"'#()a.*;,\0é", max_size=200))
def test_no_file_is_too_odd_to_be_read(source: str) -> None:
    assert isinstance(read_module("p/m.py", source.encode()), ModuleImports)


@given(st.binary(max_size=200))
def test_no_bytes_are_too_odd_to_be_read(content: bytes) -> None:
    assert isinstance(read_module("p/m.py", content), ModuleImports)
