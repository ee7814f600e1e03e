"""What stands between `${{` and `}}`, as far as the workflows use it.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ExpressionError", "filled", "holds", "value_of"]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)"
    r"|(?P<mark>==|!=|&&|\|\||[!()]))"
)
_HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_STATUS = re.compile(r"\b(?:always|success|failure|cancelled)\(\)")
_WORDS = {"true": True, "false": False, "null": None}


class ExpressionError(ValueError):
    """An expression that is none, or that uses what is not known here."""


def value_of(expression: str, contexts: Mapping[str, Any]) -> Any:  # noqa: ANN401 - it is JSON
    """Return what an expression comes to; `contexts["status"]` is that of the job until here."""
    reader = _Reader(expression, contexts)
    value = reader.either()
    if reader.tokens:
        raise ExpressionError(f"{expression!r} goes on with {reader.tokens[0]!r}")
    return value


def filled(said: Any, contexts: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return what YAML says with every expression in it replaced by its value."""
    if isinstance(said, Mapping):
        return {key: filled(value, contexts) for key, value in said.items()}
    if isinstance(said, list):
        return [filled(value, contexts) for value in said]
    if not isinstance(said, str):
        return said
    if (whole := _HOLE.fullmatch(said.strip())) and said.count("${{") == 1:
        return value_of(whole[1], contexts)
    return _HOLE.sub(lambda hole: _text(value_of(hole[1], contexts)), said)


def holds(condition: str, contexts: Mapping[str, Any]) -> bool:
    """Whether an `if:` lets a job or a step run: where it asks for no status, for success."""
    hole = _HOLE.fullmatch(condition.strip())
    bare = hole[1] if hole else condition
    if not _STATUS.search(bare):
        bare = f"success() && ({bare})" if bare.strip() else "success()"
    return _true(value_of(bare, contexts))


class _Reader:
    def __init__(self, expression: str, contexts: Mapping[str, Any]) -> None:
        self.contexts = contexts
        self.tokens: list[str] = []
        at = 0
        while expression[at:].strip():
            match = _TOKEN.match(expression, at)
            if match is None:
                raise ExpressionError(f"{expression[at:]!r} is not understood")
            self.tokens.append(match[0].strip())
            at = match.end()

    def either(self) -> Any:  # noqa: ANN401
        value = self.both()
        while self.took("||"):
            other = self.both()
            value = value if _true(value) else other
        return value

    def both(self) -> Any:  # noqa: ANN401
        value = self.equal()
        while self.took("&&"):
            other = self.equal()
            value = other if _true(value) else value
        return value

    def equal(self) -> Any:  # noqa: ANN401
        value = self.one()
        for mark, wanted in (("==", True), ("!=", False)):
            if self.took(mark):
                return _same(value, self.one()) is wanted
        return value

    def one(self) -> Any:  # noqa: ANN401
        if self.took("!"):
            return not _true(self.one())
        if self.took("("):
            value = self.either()
            self.need(")")
            return value
        if not self.tokens:
            raise ExpressionError("an expression ends where a value should be")
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.isdigit():
            return int(token)
        if self.took("("):
            return self.called(token)
        return _WORDS[token] if token in _WORDS else self.looked_up(token)

    def called(self, name: str) -> Any:  # noqa: ANN401
        if name == "fromJSON":
            argument = self.either()
            self.need(")")
            return json.loads(argument)
        status = self.contexts.get("status", "success")
        answers: Mapping[str, Callable[[], bool]] = {
            "always": lambda: True,
            "success": lambda: bool(status == "success"),
            "failure": lambda: bool(status == "failure"),
            "cancelled": lambda: False,
        }
        if name not in answers:
            raise ExpressionError(f"there is no function {name} here")
        self.need(")")
        return answers[name]()

    def looked_up(self, name: str) -> Any:  # noqa: ANN401
        first, *rest = name.split(".")
        if first not in self.contexts:
            raise ExpressionError(f"there is no context {first!r} here")
        value: Any = self.contexts[first]
        for part in rest:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def took(self, mark: str) -> bool:
        if self.tokens[:1] == [mark]:
            self.tokens.pop(0)
            return True
        return False

    def need(self, mark: str) -> None:
        if not self.took(mark):
            raise ExpressionError(f"{mark!r} is missing")


def _true(value: object) -> bool:
    return value not in (None, "", 0, False)


def _same(one: object, other: object) -> bool:
    return _text(one).casefold() == _text(other).casefold()


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
