"""A stub of Snowflake: a word that is selected comes back, no table is there: `snowflake.py WHERE`.

The HTTP interface of Snowflake's own drivers, with results as JSON, which those of all times read:
https://github.com/snowflakedb/snowflake-connector-python/blob/main/src/snowflake/connector/network.py
"""

from __future__ import annotations

import json
import re
import sys
import uuid
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.serving import Answer, Request, serve_http
else:  # beside this program
    from serving import Answer, Request, serve_http

__all__: list[str] = []

_MOST_BYTES = 1 << 20
_SELECT_TYPE, _OTHER_TYPE = 4096, 16384
_SELECT = re.compile(r"\s*select\s+'([^']*)'\s*;?\s*", re.IGNORECASE)
_FROM = re.compile(r"\s*select\s.+\sfrom\s+([\w.]+)\s*;?\s*", re.IGNORECASE)
_QUIET = re.compile(r"\s*(alter\s+session|use|commit|rollback)\b.*", re.IGNORECASE | re.DOTALL)
_SESSION = {
    "databaseName": "BOOKSHOP",
    "schemaName": "PUBLIC",
    "warehouseName": "BOOKSHOP",
    "roleName": "PUBLIC",
}
_FINAL = {"finalDatabaseName": "BOOKSHOP", "finalSchemaName": "PUBLIC", "finalRoleName": "PUBLIC"}


def answer(request: Request) -> Answer:
    """Answer one request of a driver."""
    if not request.path:
        return Answer({"success": True})
    if request.path[:2] == ("session", "v1"):
        return _login() if request.path[2:] == ("login-request",) else _success(None)
    if request.path == ("session",) or request.path[:2] == ("telemetry", "send"):
        return _success(None)
    if request.path == ("queries", "v1", "query-request"):
        return _ask(_said(request))
    return Answer({"success": False, "message": "the stub of Snowflake knows no such page"}, 404)


def _said(request: Request) -> str:
    """Return the statement of a query; raise ValueError."""
    content = request.content
    if "gzip" in request.headers.get("content-encoding", ""):
        try:
            # No more than is allowed: a megabyte can hold a thousand.
            content = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content, _MOST_BYTES + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
    if len(content) > _MOST_BYTES:
        raise ValueError("this is too large a query")
    found = json.loads(content)
    statement = found.get("sqlText") if isinstance(found, dict) else None
    if not isinstance(statement, str):
        raise ValueError("this is no query")  # noqa: TRY004 - told as all that is wrong
    return statement


def _login() -> Answer:
    return _success(
        {
            "token": "stub-token",
            "masterToken": "stub-master-token",
            "validityInSeconds": 3600,
            "masterValidityInSeconds": 14400,
            "displayUserName": "BOOKSHOP",
            "serverVersion": "9.0.0-stub",
            "firstLogin": False,
            "remMeToken": None,
            "remMeValidityInSeconds": 0,
            "healthCheckInterval": 45,
            "newClientForUpgrade": None,
            "sessionId": 1,
            "parameters": _parameters(),
            "sessionInfo": _SESSION,
            "idToken": None,
            "idTokenValidityInSeconds": 0,
            "responseData": None,
        }
    )


def _parameters() -> list[dict[str, object]]:
    told = {
        "AUTOCOMMIT": True,
        "CLIENT_SESSION_KEEP_ALIVE": False,
        "CLIENT_TELEMETRY_ENABLED": False,
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON",
        "TIMEZONE": "Etc/UTC",
    }
    return [{"name": name, "value": value} for name, value in told.items()]


def _ask(statement: str) -> Answer:
    if found := _SELECT.fullmatch(statement):
        return _rows(found[1])
    if found := _FROM.fullmatch(statement):
        why = f"Object '{found[1].upper()}' does not exist or not authorized."
        return _refuse("002003", "42S02", f"SQL compilation error:\n{why}")
    if _QUIET.fullmatch(statement):
        return _rows("Statement executed successfully.", _OTHER_TYPE)
    return _refuse("001003", "42000", "SQL compilation error:\nsyntax error line 1 at position 0.")


def _rows(value: str, kind: int = _SELECT_TYPE) -> Answer:
    column = {
        "name": "VALUE",
        "type": "text",
        "length": len(value),
        "byteLength": len(value.encode()),
        "nullable": True,
        "precision": None,
        "scale": None,
        "database": "",
        "schema": "",
        "table": "",
        "collation": None,
    }
    result = {
        "parameters": _parameters(),
        "rowtype": [column],
        "rowset": [[value]],
        "total": 1,
        "returned": 1,
        "queryId": str(uuid.uuid4()),
        "databaseProvider": None,
        "numberOfBinds": 0,
        "arrayBindSupported": False,
        "statementTypeId": kind,
        "version": 1,
        "queryResultFormat": "json",
        **_FINAL,
        "finalWarehouseName": "BOOKSHOP",
    }
    return _success(result)


def _success(data: object) -> Answer:
    return Answer({"data": data, "code": None, "message": None, "success": True})


def _refuse(code: str, state: str, why: str) -> Answer:
    about = {
        "errorCode": code,
        "sqlState": state,
        "queryId": str(uuid.uuid4()),
        "line": -1,
        "pos": -1,
        "type": "COMPILATION",
    }
    return Answer({"data": about, "code": code, "message": why, "success": False})


if __name__ == "__main__":
    serve_http(sys.argv[1], "snowflake-stub/1", answer)
