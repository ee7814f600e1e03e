"""Services in containers: an image by digest, a private network, removed with the run."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fake_engine import FakeEngine, fake_image
from helpers.toy_services import (
    SERVER,
    empty_in_the_end,
    exchange_bytes,
    toy,
    toy_services,
    wait_until,
)

from matrix.cli.services import refresh
from matrix.docker.images.refresh import RegistryError
from matrix.docker.interface import ImageInfo
from matrix.errors import IndexUnavailableError
from matrix.model.service import ServiceKind
from matrix.services import recipes as recipes_module
from matrix.services.recipes import (
    NoServiceError,
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
    with empty_in_the_end() as folder:
        yield folder


@pytest.fixture(autouse=True)
def _digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes_module, "read_images", lambda: {KEY: (DIGEST, "2026-11-20")})
    monkeypatch.delenv("COMPAT_MATRIX_REGISTRY", raising=False)


def image_toy(mode: str = "good") -> ServiceRecipe:
    """Return the toy as an image, which the fake engine runs on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = (sys.executable, "-S", str(SERVER), mode, str(port))
    return toy(source="container", image="toy:1", inside=(port,), commands=(command,), ports=1)


def test_it_is_reached_by_a_private_network_and_removed_in_the_end(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with toy_services(below, image_toy(), engine=engine) as services:
        assert services.identity("toy").version == f"toy:1 ({DIGEST})"
        assert not engine.started
        service = services.ensure("toy")
        assert str(service.identity) == "toy: memcached 1.0"
        assert (service.identity.kind, service.identity.source) == (ServiceKind.SERVER, "container")
        assert exchange_bytes(service.forwards[0].path, b"hello\n") == b"hello\n"
        assert services.loss_reason(service) == ""
        (spec,) = engine.started
        assert (spec.image, spec.platform) == (IMAGE.id, "linux/amd64")
        assert (spec.confinement.private, spec.confinement.network) == (True, False)
    assert engine.living == {}


def test_the_loss_has_the_exit_code_and_another_one_is_started(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with toy_services(below, image_toy(), engine=engine) as services:
        service = services.ensure("toy")
        with contextlib.suppress(OSError):
            exchange_bytes(service.forwards[0].path, b"die\n")
        wait_until(lambda: "its container ended with exit code 3" in services.loss_reason(service))
        assert services.loss_reason(services.ensure("toy")) == ""
        assert len(engine.started) == 2


def test_its_input_ends_it_as_the_death_of_a_run_does(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with toy_services(below, image_toy(), engine=engine) as services:
        services.ensure("toy")
        (container,) = engine.living.values()
        container.pipe.close()
        wait_until(lambda: not container.state().running)


def test_a_failed_start_quotes_the_relevant_line_of_the_log(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    with (
        toy_services(below, image_toy("broken"), engine=engine) as services,
        pytest.raises(NoServiceError, match="exit code 1: FATAL: the configuration is wrong"),
    ):
        services.ensure("toy")
    assert engine.living == {}


def test_an_engine_that_refuses_or_is_lost_is_no_back_end(below: Path) -> None:
    engine = FakeEngine(IMAGE)
    engine.refusal = "no space left"
    with toy_services(below, image_toy(), engine=engine) as services:
        with pytest.raises(NoServiceError, match="no space left"):
            services.ensure("toy")
        engine.lost = True
        assert "the engine fails" in services.state("toy").reason


@pytest.mark.parametrize(
    ("engine", "reason", "remedy"),
    [
        (None, "no container engine", "--engine local"),
        (FakeEngine(), "toy:1 is not in Fake 1.0", f"docker pull toy@{DIGEST}"),
        (FakeEngine(IMAGE), "unknown digest of toy:1 for linux/amd64", "refresh"),
    ],
)
def test_a_missing_image_is_reported_with_the_remedy(
    below: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine | None,
    reason: str,
    remedy: str,
) -> None:
    if "unknown digest" in reason:
        monkeypatch.setattr(recipes_module, "read_images", dict)
    with toy_services(below, image_toy(), engine=engine) as services:
        state = services.state("toy")
    assert state.identity is None
    assert reason in state.reason
    assert remedy in state.remedy


def test_images_of_a_mirror_have_its_name(below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_REGISTRY", "mirror.example:5000/library")
    mirrored = ImageInfo("sha256:1", (f"mirror.example:5000/library/toy@{DIGEST}",), KEY[1], {}, 1)
    with toy_services(below, image_toy(), engine=FakeEngine(mirrored)) as services:
        assert services.state("toy").identity is not None


def test_digests_are_written_and_read_back_and_nothing_else_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "images.toml"
    path.write_text(images_path().read_text(encoding="utf-8"), encoding="utf-8")
    write_images(path, {KEY: (DIGEST, "2026-11-20")})
    assert read_images(path) == {KEY: (DIGEST, "2026-11-20")}
    assert path.read_text(encoding="utf-8").startswith(
        "# Digests of the official images of back ends"
    )
    path.write_text(path.read_text(encoding="utf-8").replace("sha256:", "sha1:"), encoding="utf-8")
    with pytest.raises(ValueError, match="invalid digest"):
        read_images(path)


def test_every_image_has_ports_and_an_unprivileged_user() -> None:
    sources = [source for recipe in load_recipes().by_name.values() for source in recipe.sources]
    image_sources = [source for source in sources if source.source == "container"]
    assert image_sources
    for source in image_sources:
        assert source.image.count(":") == 1
        assert source.inside
        assert source.kind is ServiceKind.SERVER
        assert len(source.commands) == 1
        assert not source.user.startswith("0")


def test_digests_are_refreshed_and_those_that_fail_stay(tmp_path: Path) -> None:
    path = tmp_path / "images.toml"
    path.write_text(images_path().read_text(encoding="utf-8"), encoding="utf-8")
    services = [image_toy(), toy(name="other", source="container", image="other:1", inside=(1,))]

    def list_digests(_address: str, repository: str, _tag: str) -> dict[str, str]:
        if "other" in repository:
            raise RegistryError("no answer")
        return {KEY[1]: DIGEST}

    with pytest.raises(IndexUnavailableError, match=r"other:1: no answer"):
        refresh(services, path, list_digests)
    assert {key: digest for key, (digest, _) in read_images(path).items()} == {KEY: DIGEST}
