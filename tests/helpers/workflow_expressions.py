"""Evaluation of the expressions between `${{` and `}}` that the workflows use.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["ExpressionError", "condition_holds", "evaluate", "expand"]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<name>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)"
    r"|(?P<operator>==|!=|&&|\|\||[!()]))"
)
_PLACEHOLDER = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_STATUS = re.compile(r"\b(?:always|success|failure|cancelled)\(\)")
_CONSTANTS = {"true": True, "false": False, "null": None}


class ExpressionError(ValueError):
    """An invalid expression, or one with an unknown name."""


def evaluate(expression: str, contexts: Mapping[str, Any]) -> Any:  # noqa: ANN401 - it is JSON
    """Return the value of an expression; `contexts["status"]` is the job's status so far."""
    parser = _Parser(expression, contexts)
    value = parser.parse_or()
    if parser.tokens:
        raise ExpressionError(f"unexpected {parser.tokens[0]!r} in {expression!r}")
    return value


def expand(data: Any, contexts: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return YAML data with every expression replaced by its value."""
    if isinstance(data, Mapping):
        return {key: expand(value, contexts) for key, value in data.items()}
    if isinstance(data, list):
        return [expand(value, contexts) for value in data]
    if not isinstance(data, str):
        return data
    if (whole := _PLACEHOLDER.fullmatch(data.strip())) and data.count("${{") == 1:
        return evaluate(whole[1], contexts)
    return _PLACEHOLDER.sub(lambda match: _text(evaluate(match[1], contexts)), data)


def condition_holds(condition: str, contexts: Mapping[str, Any]) -> bool:
    """Return whether an `if:` lets a job or step run (without a status function: on success)."""
    match = _PLACEHOLDER.fullmatch(condition.strip())
    expression = match[1] if match else condition
    if not _STATUS.search(expression):
        expression = f"success() && ({expression})" if expression.strip() else "success()"
    return _is_true(evaluate(expression, contexts))


class _Parser:
    """A recursive descent parser, with a method for each level of precedence."""

    def __init__(self, expression: str, contexts: Mapping[str, Any]) -> None:
        self.contexts = contexts
        self.tokens: list[str] = []
        position = 0
        while expression[position:].strip():
            match = _TOKEN.match(expression, position)
            if match is None:
                raise ExpressionError(f"invalid token at {expression[position:]!r}")
            self.tokens.append(match[0].strip())
            position = match.end()

    def parse_or(self) -> Any:  # noqa: ANN401
        value = self.parse_and()
        while self.accept("||"):
            other = self.parse_and()
            value = value if _is_true(value) else other
        return value

    def parse_and(self) -> Any:  # noqa: ANN401
        value = self.parse_comparison()
        while self.accept("&&"):
            other = self.parse_comparison()
            value = other if _is_true(value) else value
        return value

    def parse_comparison(self) -> Any:  # noqa: ANN401
        value = self.parse_operand()
        for operator, expected in (("==", True), ("!=", False)):
            if self.accept(operator):
                return _are_equal(value, self.parse_operand()) is expected
        return value

    def parse_operand(self) -> Any:  # noqa: ANN401
        if self.accept("!"):
            return not _is_true(self.parse_operand())
        if self.accept("("):
            value = self.parse_or()
            self.expect(")")
            return value
        if not self.tokens:
            raise ExpressionError("the expression ends where a value is expected")
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.isdigit():
            return int(token)
        if self.accept("("):
            return self.call(token)
        return _CONSTANTS[token] if token in _CONSTANTS else self.look_up(token)

    def call(self, name: str) -> Any:  # noqa: ANN401
        if name == "fromJSON":
            argument = self.parse_or()
            self.expect(")")
            return json.loads(argument)
        status = self.contexts.get("status", "success")
        functions: Mapping[str, Callable[[], bool]] = {
            "always": lambda: True,
            "success": lambda: bool(status == "success"),
            "failure": lambda: bool(status == "failure"),
            "cancelled": lambda: False,
        }
        if name not in functions:
            raise ExpressionError(f"unknown function {name!r}")
        self.expect(")")
        return functions[name]()

    def look_up(self, name: str) -> Any:  # noqa: ANN401
        first, *rest = name.split(".")
        if first not in self.contexts:
            raise ExpressionError(f"unknown context {first!r}")
        value: Any = self.contexts[first]
        for key in rest:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def accept(self, token: str) -> bool:
        """Remove the next token if it is this one; return whether it was."""
        if self.tokens[:1] == [token]:
            self.tokens.pop(0)
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise ExpressionError(f"{token!r} is missing")


def _is_true(value: object) -> bool:
    return value not in (None, "", 0, False)


def _are_equal(left: object, right: object) -> bool:
    return _text(left).casefold() == _text(right).casefold()


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
