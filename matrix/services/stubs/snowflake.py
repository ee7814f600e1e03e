"""A stub of Snowflake, which selects literals and has no tables: `snowflake.py ADDRESS`.

It has the HTTP interface of Snowflake's own drivers, with results as JSON, which all of them read:
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
    from matrix.services.stubs.server_base import StubRequest, StubResponse, serve_http
else:  # a module beside this program
    from server_base import StubRequest, StubResponse, serve_http


_MAX_BYTES = 1 << 20
_SELECT_TYPE, _OTHER_TYPE = 4096, 16384
_SELECT = re.compile(r"\s*select\s+'([^']*)'\s*;?\s*", re.IGNORECASE)
_FROM = re.compile(r"\s*select\s.+\sfrom\s+([\w.]+)\s*;?\s*", re.IGNORECASE)
_NO_RESULT = re.compile(r"\s*(alter\s+session|use|commit|rollback)\b.*", re.IGNORECASE | re.DOTALL)
_SESSION = {
    "databaseName": "BOOKSHOP",
    "schemaName": "PUBLIC",
    "warehouseName": "BOOKSHOP",
    "roleName": "PUBLIC",
}
_PARAMETERS = [
    {"name": "AUTOCOMMIT", "value": True},
    {"name": "CLIENT_SESSION_KEEP_ALIVE", "value": False},
    {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
    {"name": "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT", "value": "JSON"},
    {"name": "TIMEZONE", "value": "Etc/UTC"},
]
_FINAL = {"finalDatabaseName": "BOOKSHOP", "finalSchemaName": "PUBLIC", "finalRoleName": "PUBLIC"}


def respond(request: StubRequest) -> StubResponse:
    """Respond to one request of a driver."""
    if not request.path:
        return StubResponse({"success": True})
    if request.path[:2] == ("session", "v1"):
        return _login() if request.path[2:] == ("login-request",) else _success(None)
    if request.path == ("session",) or request.path[:2] == ("telemetry", "send"):
        return _success(None)
    if request.path == ("queries", "v1", "query-request"):
        return _execute(_read_statement(request))
    return StubResponse({"success": False, "message": "unknown path"}, 404)


def _read_statement(request: StubRequest) -> str:
    """Return the SQL statement of a query; raise ValueError."""
    content = request.content
    if "gzip" in request.headers.get("content-encoding", ""):
        try:
            # Limited, as a megabyte can expand to a thousand.
            content = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content, _MAX_BYTES + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
    if len(content) > _MAX_BYTES:
        raise ValueError(f"query too large (at most {_MAX_BYTES} bytes)")
    query = json.loads(content)
    statement = query.get("sqlText") if isinstance(query, dict) else None
    if not isinstance(statement, str):
        raise ValueError("not a query")  # noqa: TRY004 - a ValueError becomes status 400
    return statement


def _login() -> StubResponse:
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
            "parameters": _PARAMETERS,
            "sessionInfo": _SESSION,
            "idToken": None,
            "idTokenValidityInSeconds": 0,
            "responseData": None,
        }
    )


def _execute(statement: str) -> StubResponse:
    if match := _SELECT.fullmatch(statement):
        return _single_row(match[1])
    if match := _FROM.fullmatch(statement):
        message = f"Object '{match[1].upper()}' does not exist or not authorized."
        return _error("002003", "42S02", f"SQL compilation error:\n{message}")
    if _NO_RESULT.fullmatch(statement):
        return _single_row("Statement executed successfully.", _OTHER_TYPE)
    return _error("001003", "42000", "SQL compilation error:\nsyntax error line 1 at position 0.")


def _single_row(value: str, statement_type: int = _SELECT_TYPE) -> StubResponse:
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
        "parameters": _PARAMETERS,
        "rowtype": [column],
        "rowset": [[value]],
        "total": 1,
        "returned": 1,
        "queryId": str(uuid.uuid4()),
        "databaseProvider": None,
        "numberOfBinds": 0,
        "arrayBindSupported": False,
        "statementTypeId": statement_type,
        "version": 1,
        "queryResultFormat": "json",
        **_FINAL,
        "finalWarehouseName": "BOOKSHOP",
    }
    return _success(result)


def _success(data: object) -> StubResponse:
    return StubResponse({"data": data, "code": None, "message": None, "success": True})


def _error(code: str, state: str, message: str) -> StubResponse:
    data = {
        "errorCode": code,
        "sqlState": state,
        "queryId": str(uuid.uuid4()),
        "line": -1,
        "pos": -1,
        "type": "COMPILATION",
    }
    return StubResponse({"data": data, "code": code, "message": message, "success": False})


if __name__ == "__main__":
    serve_http(sys.argv[1], "snowflake-stub/1", respond)
