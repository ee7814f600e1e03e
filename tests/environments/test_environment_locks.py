"""Locks and recipes: what is written is what is read."""

from __future__ import annotations

import dataclasses
import datetime as dt
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile, dump_lock, find_damaged, parse_lock, read_installed
from matrix.environments.requirements import load_recipes, requirements_for, sentinel
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.system.paths import data_dir

HASHES = st.integers(0, 16**64 - 1).map(lambda number: f"{number:064x}")
NAMES = st.lists(st.sampled_from(["a", "b2", "django", "py"]), min_size=1, max_size=3).map("-".join)
VERSIONS = st.builds(
    lambda numbers, tail: ".".join(map(str, numbers)) + tail,
    st.lists(st.integers(0, 2026), min_size=1, max_size=4),
    st.sampled_from(["", "rc1", ".post2", "+local.1"]),
)
LOCKED = st.builds(
    lambda name, version, hashes: LockedFile(name, version, tuple(sorted(hashes))),
    NAMES,
    VERSIONS,
    st.sets(HASHES, min_size=1, max_size=4),
)
LOCKS = st.lists(LOCKED, unique_by=lambda locked: locked.name, max_size=6)


@settings(max_examples=30)
@given(LOCKS)
def test_a_lock_is_read_as_it_was_written(lock: list[LockedFile]) -> None:
    lines = dump_lock(lock)
    assert lines == tuple(sorted(lines, key=lambda line: line.partition("==")[0]))
    assert dump_lock(parse_lock("\n".join(lines))) == lines
    assert set(parse_lock("\n".join(lines))) == set(lock)


@settings(max_examples=30)
@given(LOCKS)
def test_a_lock_is_read_from_the_form_that_installers_write(lock: list[LockedFile]) -> None:
    text = "# a comment\n" + "\n".join(str(item).replace(" ", " \\\n    ") for item in lock)
    assert set(parse_lock(text + "\n")) == set(lock)


@pytest.mark.parametrize(
    "line",
    ["flask", "flask==2.2.3", "flask>=2 --hash=sha256:" + "a" * 64, "flask==1 --hash=md5:abc"],
)
def test_a_line_without_pin_and_hash_is_no_lock_line(line: str) -> None:
    with pytest.raises(ValueError, match="invalid lock line"):
        parse_lock(line)


def planned(python: str, framework: str, version: str, ddtrace: str) -> PlannedCell:
    cell = Cell(python, "linux_x86_64", framework, version, ddtrace)
    return PlannedCell(cell, dt.date(2023, 3, 1), ())


def names(requirements: tuple[str, ...]) -> set[str]:
    return {Requirement(text).name for text in requirements}


def test_a_cell_gets_its_pins_the_server_the_sentinel_and_what_its_probes_need() -> None:
    requirements = requirements_for(planned("3.11", "django", "4.1", "2.21.0"), ["redis"])
    assert requirements.pins == ("ddtrace==2.21.0", "django==4.1")
    assert requirements.only_binary == ("ddtrace",)
    assert requirements.as_of == dt.date(2023, 3, 1)
    assert names(requirements.also) == {"cheroot", "requests", "redis", sentinel().distribution}


def test_companions_are_chosen_by_the_frameworks_version() -> None:
    old = requirements_for(planned("3.8", "flask", "0.10", "1.9.0")).also
    new = requirements_for(planned("3.8", "flask", "2.3.0", "1.9.0")).also
    assert {"werkzeug<1", "jinja2<3"} <= set(old)
    assert not names(new) & {"werkzeug", "Werkzeug", "jinja2"}


def test_an_install_of_a_given_day_is_not_helped_along() -> None:
    cell = planned("3.8", "flask", "0.10", "1.9.0")
    today = dataclasses.replace(cell.cell, as_of=dt.date(2026, 1, 1))
    also = requirements_for(dataclasses.replace(cell, cell=today)).also
    assert not names(also) & {"werkzeug", "jinja2", "markupsafe", "itsdangerous"}
    assert {"requests", sentinel().distribution} <= names(also)


def test_setuptools_is_there_where_an_environment_of_the_time_had_it() -> None:
    assert "setuptools" in names(requirements_for(planned("3.8", "flask", "2.3.0", "1.2.0")).also)
    assert "setuptools" not in names(
        requirements_for(planned("3.12", "flask", "3.0.0", "2.6.0")).also
    )


def test_no_recipe_names_what_is_pinned() -> None:
    for rule in load_recipes(data_dir() / "recipes.toml").rules:
        assert rule.distribution not in {name.lower() for name in names(rule.add)}
        assert rule.why.strip()


def test_a_mistyped_key_of_a_recipe_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "recipes.toml"
    file.write_text(
        'only_binary = []\n[sentinel]\ndistribution = "a"\nimport_name = "a"\n'
        '[[recipe]]\nfro = "flask"\nadd = []\nwhy = ""\n'
    )
    with pytest.raises(ValueError, match="fro"):
        load_recipes(file)


def test_the_sentinel_is_a_module_name() -> None:
    assert set(sentinel().import_name) <= set(string.ascii_lowercase + "_")


def test_a_distribution_without_a_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evil.egg-info").mkdir()
    (tmp_path / "evil.egg-info" / "PKG-INFO").write_text("Version: 1\n", "ascii")
    with pytest.raises(BuildError, match=r"evil\.egg-info names no distribution") as caught:
        read_installed(tmp_path)
    assert caught.value.reason is Reason.WRONG_INSTALL


def test_a_record_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evil-1.0.dist-info").mkdir()
    (tmp_path / "evil-1.0.dist-info" / "RECORD").write_text("x" * 200_000, "ascii")
    with pytest.raises(BuildError, match="RECORD cannot be read") as caught:
        find_damaged(tmp_path, str)
    assert caught.value.reason is Reason.WRONG_INSTALL


def test_a_record_makes_us_read_nothing_but_the_environment(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "evil-1.0.dist-info").mkdir(parents=True)
    for path in (tmp_path / "secret", site / "module.py"):
        path.touch()
    rows = f"{tmp_path / 'secret'},sha256=x,1\n../secret,sha256=x,1\nmodule.py,sha256=x,1\n"
    (site / "evil-1.0.dist-info" / "RECORD").write_text(rows, "ascii")
    read: list[Path] = []

    def sha256(path: Path) -> str:
        read.append(path)
        return "y"

    found = find_damaged(site, sha256)
    assert found == {"evil": "module.py"}
    assert read == [site / "module.py"]
