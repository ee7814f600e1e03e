"""The package index that the user's own tools ask, from variables and files of uv and pip.

Nothing but the standard library (and tomli, which nox has) is imported: the noxfile reads it too.
https://docs.astral.sh/uv/concepts/configuration-files/
https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_CONNECTION = frozenset(
    {
        *("index-url", "extra-index-url", "no-index", "find-links", "trusted-host"),
        *("cert", "client-cert", "proxy", "timeout", "retries"),
    }
)
"""The options of pip that say where packages come from, and how they are reached."""
_ENVIRONMENT_NAMES = {"timeout": "default-timeout"}


def configured_index(environ: Mapping[str, str]) -> str:
    """Return the URL of the index with its credentials, "" where none is configured.

    Variables count before files, and what is uv's before what is pip's. Files that cannot be read
    count as empty.
    """
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if value := environ.get(name):
            # uv also accepts `name=https://...`.
            head, equals, tail = value.partition("=")
            named = equals and "://" not in head
            return _with_credentials(tail if named else value, head if named else "", environ)
    if value := environ.get("PIP_INDEX_URL"):
        return value
    for path in _uv_files(environ):
        if url := _uv_index(path, environ):
            return url
    return pip_settings(environ).get("index-url", "")


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's options of the connection by name (`index-url`), from files and variables."""
    settings: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        with contextlib.suppress(OSError, ValueError, configparser.Error):
            parser.read_string(path.read_text(encoding="utf-8"))
            for section in filter(parser.has_section, ("global", "install")):
                for name, value in parser.items(section):
                    option = name.replace("_", "-").removeprefix("--")
                    if option in _CONNECTION and value:
                        settings[option] = value
    for option in _CONNECTION:
        if setting := environ.get(pip_variable(option)):
            settings[option] = setting
    return settings


def pip_variable(option: str) -> str:
    """Return the variable that sets an option of pip: `PIP_INDEX_URL`."""
    return f"PIP_{_ENVIRONMENT_NAMES.get(option, option).replace('-', '_').upper()}"


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that pip reads, those that count more later; they need not exist."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - `Path.home` fails where there is none
    if sys.platform == "win32":
        yield Path(environ.get("PROGRAMDATA", "C:\\ProgramData")) / "pip" / "pip.ini"
        user = [home / "pip", Path(environ.get("APPDATA", home)) / "pip"]
    else:
        for folder in reversed(_config_dirs(environ)):
            yield folder / "pip" / "pip.conf"
        yield Path("/etc/pip.conf")
        user = [home / ".pip", _config_home(environ, home) / "pip"]
        if sys.platform == "darwin":
            yield Path("/Library/Application Support/pip/pip.conf")
            user.append(home / "Library" / "Application Support" / "pip")
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    if not (named and os.path.exists(named)):  # noqa: PTH110 - also in a closed folder
        yield from (folder / name for folder in user)
    if environment := environ.get("VIRTUAL_ENV"):
        yield Path(environment) / name
    if named:
        yield Path(named)


def _uv_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files that uv reads, those that count more first; they need not exist."""
    if named := environ.get("UV_CONFIG_FILE"):
        yield Path(named)
        return
    if environ.get("UV_NO_CONFIG", "").lower() in {"1", "true", "yes", "on"}:
        return
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - as above
    if sys.platform == "win32":
        yield Path(environ.get("APPDATA", home)) / "uv" / "uv.toml"
        yield Path(environ.get("PROGRAMDATA", "C:\\ProgramData")) / "uv" / "uv.toml"
        return
    yield _config_home(environ, home) / "uv" / "uv.toml"
    yield from (folder / "uv" / "uv.toml" for folder in _config_dirs(environ))
    yield Path("/etc/uv/uv.toml")


def _config_home(environ: Mapping[str, str], home: Path) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config")


def _config_dirs(environ: Mapping[str, str]) -> list[Path]:
    folders = environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [Path(folder) for folder in folders.split(os.pathsep) if folder]


def _uv_index(path: Path, environ: Mapping[str, str]) -> str:
    """Return the default index of a file of uv, "" where it has none."""
    data: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    listed = data.get("index")
    for index in listed if isinstance(listed, list) else ():
        if isinstance(index, dict) and index.get("default") is True:
            return _with_credentials(str(index.get("url", "")), str(index.get("name", "")), environ)
    pip = data.get("pip")
    for table in (data, pip if isinstance(pip, dict) else {}):
        if url := table.get("index-url"):
            return str(url)
    return ""


def _with_credentials(url: str, name: str, environ: Mapping[str, str]) -> str:
    """Return the URL of a named index of uv with the credentials that variables have for it.

    https://docs.astral.sh/uv/concepts/indexes/#providing-credentials-directly
    """
    prefix = f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', name.upper())}"
    user, password = environ.get(f"{prefix}_USERNAME", ""), environ.get(f"{prefix}_PASSWORD", "")
    parts = urlsplit(url)
    if not name or not (user or password) or "@" in parts.netloc:
        return url
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))
