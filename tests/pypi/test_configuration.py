"""The index of the user's own tools: variables, uv.toml, pip.conf, credentials; and proxies."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from helpers.planning_fixture import LINUX, FakeIndex, page, world

from matrix.environments.own_indexes import DatedIndex
from matrix.environments.toolbox import child_environment
from matrix.errors import ExitCode, IndexUnavailableError, NoUploadTimesError
from matrix.model.index import File, Project
from matrix.model.plan import Plan
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan
from matrix.pypi.client import index_url
from matrix.pypi.configuration import configured_index, pip_settings
from matrix.pypi.releases import LONG_AGO, Releases, end_of_day
from matrix.system.proxies import proxy_exceptions


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def variables(home: Path, **others: str) -> dict[str, str]:
    """Return variables by which only files below `home` are read, but those of /etc."""
    return {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CONFIG_DIRS": str(home / "xdg"),
        "APPDATA": str(home / "config"),
        "PROGRAMDATA": str(home / "xdg"),
        **others,
    }


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_the_index_of_pips_file_with_its_credentials(home: Path) -> None:
    file = write(home / "pip.conf", "[global]\nindex-url = https://u:p@index.example/simple/\n")
    environ = variables(home, PIP_CONFIG_FILE=file)
    assert configured_index(environ) == "https://u:p@index.example/simple/"
    assert index_url(environ) == "https://u:p@index.example/simple"


def test_the_users_file_counts_less_than_that_of_the_environment(home: Path) -> None:
    for folder, name in ((home / ".pip", "user"), (home / "venv", "site")):
        for file in ("pip.conf", "pip.ini"):
            write(folder / file, f"[install]\nindex_url = https://{name}.example/simple\n")
            write(home / "pip" / file, "[global]\nindex-url = https://user.example/simple\n")
    assert configured_index(variables(home)) == "https://user.example/simple"
    environ = variables(home, VIRTUAL_ENV=str(home / "venv"))
    assert configured_index(environ) == "https://site.example/simple"


@pytest.mark.parametrize(
    "text",
    [
        (
            '[[index]]\nurl = "https://other.example"\n'
            '[[index]]\nname = "ours"\nurl = "https://u.example/simple"\ndefault = true\n'
        ),
        'index-url = "https://u.example/simple"\n',
        '[pip]\nindex-url = "https://u.example/simple"\n',
    ],
)
def test_the_index_of_uvs_file_comes_before_pips(home: Path, text: str) -> None:
    write(home / "config" / "uv" / "uv.toml", text)
    file = write(home / "pip.conf", "[global]\nindex-url = https://pip.example/simple\n")
    environ = variables(home, PIP_CONFIG_FILE=file)
    assert configured_index(environ) == "https://u.example/simple"
    assert configured_index({**environ, "UV_NO_CONFIG": "1"}) == "https://pip.example/simple"
    assert configured_index({**environ, "UV_DEFAULT_INDEX": "x=https://v.example"}) == (
        "https://v.example"
    )


def test_variables_have_the_credentials_of_a_named_index(home: Path) -> None:
    environ = variables(
        home,
        UV_DEFAULT_INDEX="our-index=https://u.example/simple",
        UV_INDEX_OUR_INDEX_USERNAME="emma",
        UV_INDEX_OUR_INDEX_PASSWORD="p@ss",
    )
    assert configured_index(environ) == "https://emma:p%40ss@u.example/simple"


@pytest.mark.parametrize("text", ["[global", "\0", "[global]\nindex-url\n", "[[" * 5000])
def test_a_damaged_file_counts_as_empty(home: Path, text: str) -> None:
    write(home / "config" / "uv" / "uv.toml", text)
    file = write(home / "pip.conf", text)
    assert configured_index(variables(home, PIP_CONFIG_FILE=file)) == ""


def test_only_the_connection_is_read_of_pips_settings(home: Path) -> None:
    file = write(home / "pip.conf", "[global]\ntarget = x\nuser = true\nproxy = http://p.example\n")
    environ = variables(home, PIP_CONFIG_FILE=file, PIP_TARGET="y", PIP_DEFAULT_TIMEOUT="60")
    settings = pip_settings(environ)
    assert (settings["proxy"], settings["timeout"]) == ("http://p.example", "60")
    assert not {"target", "user"} & settings.keys()


def test_this_machine_is_asked_without_the_proxy() -> None:
    assert proxy_exceptions({"NO_PROXY": "a"}) == {}
    environ = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "a, b", "no_proxy": "c"}
    made = proxy_exceptions(environ)
    assert made == dict.fromkeys(("no_proxy", "NO_PROXY"), "c,a,b,localhost,127.0.0.1,::1")


def test_installers_ask_this_machine_without_the_proxy(tmp_path: Path) -> None:
    environ = child_environment(tmp_path, {}, {"HTTPS_PROXY": "http://127.0.0.1:9"})
    assert "127.0.0.1" in environ["NO_PROXY"].split(",")
    assert environ["no_proxy"] == environ["NO_PROXY"]


def undated(project: Project) -> Project:
    return dataclasses.replace(
        project,
        releases=tuple(
            dataclasses.replace(
                release,
                uploaded=None,
                files=tuple(dataclasses.replace(file, uploaded=None) for file in release.files),
            )
            for release in project.releases
        ),
    )


def undated_world() -> FakeIndex:
    index = world()
    projects = {name: undated(project) for name, project in index.projects.items()}
    return dataclasses.replace(index, projects=projects)


def plan_on(index: FakeIndex, as_of: dt.date | None) -> Plan:
    coverage = load_coverage(integrations={})
    return make_plan(page(), index, targets=(LINUX,), coverage=coverage, as_of=as_of)


def today() -> dt.date:
    return dt.datetime.now(tz=dt.timezone.utc).date()


def test_an_index_without_upload_times_is_an_error_that_says_so() -> None:
    with pytest.raises(NoUploadTimesError, match="gives no upload times of ddtrace") as caught:
        plan_on(undated_world(), None)
    assert isinstance(caught.value, IndexUnavailableError)
    assert caught.value.exit_code == ExitCode.INDEX_UNAVAILABLE
    assert "--as-of today" in caught.value.hint


def test_as_of_today_needs_no_upload_times() -> None:
    plan = plan_on(undated_world(), today())
    dated = plan_on(world(), today())
    assert {each.cell.id for each in plan.cells}
    assert len(plan.cells) == len(dated.cells)


def test_releases_without_upload_times_count_only_as_of_now() -> None:
    project = undated(world().projects["flask"])
    assert Releases(project).all == ()
    assert "as the index gives none" in Releases(project).until_note
    past = Releases(project, end_of_day(dt.date(2020, 1, 1)))
    assert (past.all, past.undated) == ((), True)
    now = Releases(project, end_of_day(today()))
    assert {release.uploaded for release in now.all} == {LONG_AGO}
    assert (now.undated, now.until_note) == (False, f" up to {today():%Y-%m-%d}")


def test_a_dated_index_has_files_without_a_date_only_ahead_of_now() -> None:
    url, sha256 = "https://x/x.whl", "0" * 64
    file = File("x-1.0-py3-none-any.whl", url, sha256, None, "", yanked=False, tags="")
    index = undated_world()
    project = dataclasses.replace(
        index.projects["flask"],
        releases=(dataclasses.replace(index.projects["flask"].releases[0], files=(file,)),),
    )
    index = dataclasses.replace(index, projects={"flask": project})
    tomorrow = dt.datetime.now(tz=dt.timezone.utc) + dt.timedelta(days=1)
    assert "x.whl" in (DatedIndex(index, tomorrow, "3.9", {}).page("flask") or "")
    past = tomorrow - dt.timedelta(days=2)
    assert "x.whl" not in (DatedIndex(index, past, "3.9", {}).page("flask") or "")
