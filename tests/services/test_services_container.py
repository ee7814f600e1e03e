"""Back ends in containers: an image by digest, a private network, gone with the run."""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.fake_engine import FakeEngine, fake_image
from helpers.toy_services import SERVER, recipes, toy

from matrix.cli.services import refresh
from matrix.docker.images.registry import RegistryError
from matrix.docker.interface import ImageInfo
from matrix.errors import IndexUnavailableError
from matrix.model.service import ServiceKind
from matrix.services import recipes as sources
from matrix.services.forwarding import unix_dial
from matrix.services.pool import NoServiceError, Services
from matrix.services.recipes import (
    ServiceRecipe,
    images_path,
    load_recipes,
    read_images,
    write_images,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")

DIGEST = f"sha256:{'a' * 64}"
IMAGE = fake_image(f"toy@{DIGEST}")
KEY = ("toy:1", "linux/amd64")


@pytest.fixture
def below() -> Iterator[Path]:
    """A folder with a short path, that must be empty in the end."""
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "read_images", lambda: {KEY: (DIGEST, "2026-11-20")})
    monkeypatch.delenv("COMPAT_MATRIX_REGISTRY", raising=False)


def boxed(how: str = "good", port: int = 0) -> ServiceRecipe:
    """The toy as an image; the fake engine runs it here."""
    port = port or free_port()
    command = (sys.executable, "-S", str(SERVER), how, str(port))
    return toy(source="container", image="toy:1", inside=(port,), commands=(command,), ports=1)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def pool(below: Path, recipe: ServiceRecipe, engine: FakeEngine | None) -> Services:
    return Services(recipes=recipes(recipe), below=below, engine=engine)


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def say(path: str, words: bytes) -> bytes:
    with unix_dial(path)() as sock:
        sock.sendall(words)
        return sock.recv(100)


def test_it_is_reached_by_a_private_network_and_gone_in_the_end(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with pool(below, boxed(), engine) as services:
        assert services.identity("toy").version == f"toy:1 ({DIGEST})"
        assert not engine.started
        service = services.ensure("toy")
        assert str(service.identity) == "toy: memcached 1.0"
        assert (service.identity.kind, service.identity.source) == (ServiceKind.SERVER, "container")
        assert say(service.ways[0].path, b"hello\n") == b"hello\n"
        assert services.lost(service) == ""
        (spec,) = engine.started
        assert (spec.image, spec.platform) == (IMAGE.id, "linux/amd64")
        assert (spec.confinement.private, spec.confinement.network) == (True, False)
    assert engine.living == {}


def test_one_that_dies_says_how_and_another_is_started(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with pool(below, boxed(), engine) as services:
        service = services.ensure("toy")
        with contextlib.suppress(OSError):
            say(service.ways[0].path, b"die\n")
        until(lambda: "its container ended with exit code 3" in services.lost(service))
        assert services.lost(services.ensure("toy")) == ""
        assert len(engine.started) == 2


def test_its_input_ends_it_as_the_death_of_a_run_does(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with pool(below, boxed(), engine) as services:
        services.ensure("toy")
        (container,) = engine.living.values()
        container.pipe.close()
        until(lambda: not container.state().running)


def test_one_that_does_not_start_says_its_one_relevant_line(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with (
        pool(below, boxed("broken"), engine) as services,
        pytest.raises(NoServiceError, match="exit code 1: FATAL: the configuration is wrong"),
    ):
        services.ensure("toy")
    assert engine.living == {}


def test_an_engine_that_refuses_or_is_lost_is_no_back_end(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    engine.refusing = "no space left"
    with pool(below, boxed(), engine) as services:
        with pytest.raises(NoServiceError, match="no space left"):
            services.ensure("toy")
        engine.lost = True
        assert "the engine fails" in services.state("toy").why


@pytest.mark.parametrize(
    ("engine", "why", "remedy"),
    [
        (None, "no container engine", "--engine local"),
        (FakeEngine(), "toy:1 is not in Fake 1.0", f"docker pull toy@{DIGEST}"),
        (FakeEngine(IMAGE), "digest of toy:1 for linux/amd64 is not known", "refresh"),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_get_it(
    below: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine | None,
    why: str,
    remedy: str,
) -> None:
    if "not known" in why:
        monkeypatch.setattr(sources, "read_images", dict)
    with pool(below, boxed(), engine) as services:
        state = services.state("toy")
    assert state.identity is None
    assert why in state.why
    assert remedy in state.remedy


def test_a_mirror_is_asked_by_its_own_name(below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_REGISTRY", "mirror.example:5000/library")
    mirrored = ImageInfo("sha256:1", (f"mirror.example:5000/library/toy@{DIGEST}",), KEY[1], {}, 1)
    with pool(below, boxed(), FakeEngine(mirrored)) as services:
        assert services.state("toy").identity is not None


def test_digests_are_written_and_read_back_and_nothing_else_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "images.toml"
    path.write_text(images_path().read_text(encoding="utf-8"), encoding="utf-8")
    write_images(path, {KEY: (DIGEST, "2026-11-20")})
    assert read_images(path) == {KEY: (DIGEST, "2026-11-20")}
    assert path.read_text(encoding="utf-8").startswith("# Official images")
    path.write_text(path.read_text(encoding="utf-8").replace("sha256:", "sha1:"), encoding="utf-8")
    with pytest.raises(ValueError, match="is no digest"):
        read_images(path)


def test_every_image_of_ours_says_where_it_is_reached_and_as_whom_it_runs() -> None:
    ways = [way for recipe in load_recipes().by_name.values() for way in recipe.ways]
    boxed_ = [way for way in ways if way.source == "container"]
    assert boxed_
    for way in boxed_:
        assert way.image.count(":") == 1
        assert way.inside
        assert way.kind is ServiceKind.SERVER
        assert len(way.commands) == 1
        assert not way.user.startswith("0")


def test_digests_are_asked_for_and_what_cannot_be_had_stays(tmp_path: Path) -> None:
    path = tmp_path / "images.toml"
    path.write_text(images_path().read_text(encoding="utf-8"), encoding="utf-8")
    known = [boxed(), toy(name="other", source="container", image="other:1", inside=(1,))]

    def ask(_address: str, repository: str, _tag: str) -> dict[str, str]:
        if "other" in repository:
            raise RegistryError("it does not answer")
        return {KEY[1]: DIGEST}

    with pytest.raises(IndexUnavailableError, match=r"other:1: it does not answer"):
        refresh(known, path, ask)
    assert {key: digest for key, (digest, _) in read_images(path).items()} == {KEY: DIGEST}
