"""Services that already run, in options and variables; and the list of all services."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from matrix.__main__ import main
from matrix.errors import ExitCode, UsageError
from matrix.services.external import parse_external_services
from matrix.services.recipes import load_recipes
from matrix.system.paths import data_dir


def test_an_option_has_the_address_and_the_credentials() -> None:
    services = parse_external_services(
        ["postgresql=postgresql://me:h%40sh@db.example:5433/shop"], {}, load_recipes()
    )
    item = services["postgres"]
    assert (item.host, item.port, item.user, item.password, item.database) == (
        "db.example",
        5433,
        "me",
        "h@sh",
        "shop",
    )
    assert "h@sh" not in f"{item} {item!r}"


def test_a_variable_is_equivalent_and_the_option_wins() -> None:
    environ = {"COMPAT_MATRIX_SERVICE_REDIS": "redis://one", "COMPAT_MATRIX_SERVICE_MYSQL": "//two"}
    services = parse_external_services(["redis=three:7000"], environ, load_recipes())
    assert {name: str(item) for name, item in services.items()} == {
        "redis": "three:7000",
        "mysql": "two:3306",
    }


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("redis", "invalid value 'redis' for --service"),
        ("redis=", "invalid value 'redis=' for --service"),
        ("redsi=redis://x", "unknown service 'redsi'"),
        ("redis=redis://:7000", "invalid URL for Redis: no host"),
        ("redis=redis://x:port", "invalid URL for Redis: Port"),
        ("redis-cluster=redis://x:7000", "cannot use an external Redis cluster with three nodes"),
    ],
)
def test_an_invalid_option_is_an_error(option: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_external_services([option], {}, load_recipes())
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", [name for name, recipe in load_recipes().by_name.items() if recipe.can_be_external]
)
def test_a_url_without_a_port_has_the_default_port_of_its_service(name: str) -> None:
    assert parse_external_services([f"{name}=//db.example"], {}, load_recipes())[name].port > 0


def test_the_list_follows_its_schema_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["services", "--json", "-"]) == ExitCode.OK
    listed = json.loads(capsys.readouterr().out)
    schema = json.loads((data_dir() / "schemas" / "services.schema.json").read_text())
    jsonschema.validate(listed, schema)
    assert {item["name"] for item in listed["services"]} == set(load_recipes().by_name)
    assert all(item["how"] for item in listed["services"] if item["state"] == "missing")
    users = {item["name"]: item["users"] for item in listed["services"]}
    assert "redis" in users["redis"]
    assert "psycopg" in users["postgres"]


@pytest.mark.parametrize(
    "command",
    [
        ["plan"],
        ["verify"],
        ["minimum", "sca"],
        ["reproduce", "cp39-linux_x86_64-redis3.5.3-ddtrace1.9.0"],
        ["reproduce", "cp39-linux_x86_64-redis3.5.3-ddtrace1.9.0", "--run"],
        ["services"],
    ],
    ids=" ".join,
)
def test_every_command_that_is_about_cells_takes_a_server_that_runs_already(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--service", "redsi=redis://x"]) == ExitCode.USAGE
    assert "did you mean 'redis'" in capsys.readouterr().err


def test_start_requires_the_name_of_a_service(tmp_path: Path) -> None:
    assert main(["services", "start"]) == ExitCode.USAGE
    assert main(["services", "start", "postgrse"]) == ExitCode.USAGE
