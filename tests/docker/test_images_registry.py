"""Digests and images of a registry that speaks the real protocol."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fake_engine import FakeEngine, fake_image
from helpers.fake_registry import (
    DOCKER_LIST,
    MANIFEST,
    OCI_INDEX,
    FakeRegistry,
    build_index,
    fake_registry,
)
from helpers.image_fakes import AnsweringEngine

from matrix.docker.images.interface import ImageError, ImageOffer
from matrix.docker.images.recipes import read_recipes
from matrix.docker.images.refresh import (
    DigestRefresh,
    RegistryError,
    default_registry,
    fetch_digests,
    parse_image_name,
    refresh_digests,
)
from matrix.docker.images.registry import (
    DigestTable,
    ImageDigest,
    ImagePattern,
    RegistrySource,
    digests_path,
    read_digests,
    write_digests,
)
from matrix.docker.interface import ContainerError
from matrix.docker.platforms import REGISTRY_VARIABLE, registry_reference
from matrix.model.reason import Reason

TODAY = dt.date(2026, 11, 20)
NOWHERE = "http://127.0.0.1:9"


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "digests.toml"
    path.write_text(digests_path().read_text("utf-8"), "utf-8")
    return path


def image_pattern(*pythons: str) -> ImagePattern:
    return ImagePattern("python:{python}-slim", pythons, "/usr/local/bin/python", "/s/{python}")


def refresh_from(registry: FakeRegistry, digests: DigestTable) -> DigestRefresh:
    return refresh_digests(digests, {REGISTRY_VARIABLE: f"{registry.host}/library"}, TODAY, NOWHERE)


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_LIST])
def test_a_list_of_platforms_gives_a_digest_for_each(registry: FakeRegistry, kind: str) -> None:
    listing = build_index(
        kind,
        {
            "linux/amd64": digest("a"),
            "linux/386": digest("b"),
            "linux/arm64/v8": digest("c"),
            "linux/arm/v7": digest("d"),
        },
    )
    registry.add("library/python", kind, listing, "3.11-slim")
    digests = fetch_digests(f"http://{registry.host}", "library/python", "3.11-slim")
    assert digests == {
        "linux/amd64": digest("a"),
        "linux/386": digest("b"),
        "linux/arm64": digest("c"),
        "linux/arm/v7": digest("d"),
    }
    assert registry.requests == ["/v2/library/python/manifests/3.11-slim"]


def test_one_image_alone_is_no_list(registry: FakeRegistry) -> None:
    registry.add("library/python", MANIFEST, b'{"mediaType": "%s"}' % MANIFEST.encode(), "x")
    with pytest.raises(RegistryError, match="not a list of platforms"):
        fetch_digests(f"http://{registry.host}", "library/python", "x")


def test_what_is_no_digest_is_not_taken(registry: FakeRegistry) -> None:
    listing = build_index(OCI_INDEX, {"linux/amd64": "sha256:../../x"})
    registry.add("library/python", OCI_INDEX, listing, "x")
    with pytest.raises(RegistryError, match="invalid digest"):
        fetch_digests(f"http://{registry.host}", "library/python", "x")


def test_a_login_page_that_is_not_encrypted_is_not_gone_to(registry: FakeRegistry) -> None:
    registry.realm = "http://login.example/token"
    with pytest.raises(RegistryError, match="unsupported kind of login"):
        fetch_digests(f"http://{registry.host}", "library/python", "x")


def test_an_answer_without_end_is_cut(registry: FakeRegistry) -> None:
    registry.add("library/python", OCI_INDEX, b" " * 5000, "x")
    with pytest.raises(RegistryError, match="longer than 4000 bytes"):
        fetch_digests(f"http://{registry.host}", "library/python", "x", max_bytes=4000)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("python:3.11-slim", ("https://d", "library/python", "3.11-slim")),
        ("python", ("https://d", "library/python", "latest")),
        ("own/python:x", ("https://d", "own/python", "x")),
        (
            "mirror.example:5000/library/python:x",
            ("https://mirror.example:5000", "library/python", "x"),
        ),
        ("127.0.0.1:5000/python:x", ("http://127.0.0.1:5000", "python", "x")),
        ("localhost/python:x", ("http://localhost", "python", "x")),
    ],
)
def test_names_are_read_as_engines_read_them(name: str, place: tuple[str, str, str]) -> None:
    assert parse_image_name(name, "https://d") == place


def test_the_default_registry_has_an_address() -> None:
    assert default_registry().startswith("https://")


def test_failures_come_together_and_what_they_are_about_stays(registry: FakeRegistry) -> None:
    listing = build_index(OCI_INDEX, {"linux/amd64": digest("a"), "linux/386": digest("b")})
    registry.add("library/python", OCI_INDEX, listing, "3.11-slim")
    before = (
        ImageDigest("3.11", "linux/amd64", "python:3.11-slim", digest("1"), "2026-01-01"),
        ImageDigest("3.11", "linux/arm64", "python:3.11-slim", digest("2"), "2026-01-01"),
        ImageDigest("3.12", "linux/386", "python:3.12-slim", digest("3"), "2026-01-01"),
    )
    done = refresh_from(registry, DigestTable(image_pattern("3.11", "3.12", "3.13"), before))
    digests = {
        (image.python, image.platform): (image.digest, image.read) for image in done.digests.images
    }
    assert digests == {
        ("3.11", "linux/amd64"): (digest("a"), "2026-11-20"),
        ("3.11", "linux/386"): (digest("b"), "2026-11-20"),
        ("3.11", "linux/arm64"): (digest("2"), "2026-01-01"),
        ("3.12", "linux/386"): (digest("3"), "2026-01-01"),
    }
    assert (done.new, done.answered) == (2, 1)
    assert done.absent == ("python:3.11-slim is not made for linux/arm64",)
    assert [line.partition(":3.1")[0] for line in done.failures] == ["python", "python"]
    assert all("HTTP 404 (manifest unknown)" in line for line in done.failures)


def test_nobody_answers() -> None:
    done = refresh_digests(DigestTable(image_pattern("3.11"), ()), {}, TODAY, NOWHERE)
    assert done.answered == 0
    assert "refused" in done.failures[0]


def test_the_file_is_written_as_it_is_read_and_keeps_its_comment(file: Path) -> None:
    digests = read_digests(file)
    image = ImageDigest("3.11", "linux/386", "python:3.11-slim", digest("b"), "2026-11-20")
    write_digests(file, DigestTable(digests.pattern, (image,)))
    assert read_digests(file) == DigestTable(digests.pattern, (image,))
    assert file.read_text("utf-8").startswith("# Digests of the official images, by CPython")


def test_a_digest_that_is_none_is_refused(file: Path) -> None:
    image = ImageDigest("3.11", "linux/386", "python:3.11-slim", "latest", "2026-11-20")
    write_digests(file, DigestTable(read_digests(file).pattern, (image,)))
    with pytest.raises(ValueError, match="'latest'"):
        read_digests(file)


def with_digest(file: Path) -> str:
    image = ImageDigest("3.11", "linux/386", "python:3.11-slim", digest("b"), "2026-11-20")
    write_digests(file, DigestTable(read_digests(file).pattern, (image,)))
    return f"mirror.example/library/python@{digest('b')}"


def source_with_offer(file: Path) -> tuple[RegistrySource, ImageOffer, str]:
    """Return a source, its only offer without an obstacle, and the key of that."""
    key = with_digest(file)
    source = RegistrySource(file, {REGISTRY_VARIABLE: "mirror.example/library"})
    offer = next(offer for offer in source.offers(AnsweringEngine()) if offer.key)
    return source, offer, key


def test_every_wanted_image_is_offered_and_says_what_it_lacks(file: Path) -> None:
    key = with_digest(file)
    source = RegistrySource(file, {REGISTRY_VARIABLE: "https://mirror.example/library/"})
    offers = source.offers(AnsweringEngine())
    assert len(offers) == len(read_digests(file).pattern.pythons) * len(read_recipes().targets)
    (possible,) = (offer for offer in offers if not offer.obstacle)
    assert (possible.python, possible.platform, possible.key) == ("3.11", "linux/386", key)
    assert possible.site == "/usr/local/lib/python3.11/site-packages"
    assert {offer.remedy for offer in offers if offer.obstacle} == {"nox -s images -- refresh"}


def test_an_image_is_pulled_by_its_digest(file: Path) -> None:
    source, offer, key = source_with_offer(file)
    engine = FakeEngine()
    engine.registry[key] = fake_image(key, "linux/386")
    lines: list[str] = []
    image, name = source.provide(offer, engine, lines.append)
    assert (image, name) == (fake_image(key, "linux/386").id, digest("b"))
    assert lines == ["python:3.11-slim for linux/386: pulling"]
    with pytest.raises(ImageError, match="manifest unknown") as caught:
        source.provide(offer, FakeEngine(), lines.append)
    assert caught.value.reason is Reason.NO_IMAGE


class OfflineEngine(FakeEngine):
    """An engine that cannot reach any registry."""

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        raise ContainerError(
            f"pulling {registry_reference}: dial tcp: lookup mirror.example: no such host"
        )


def test_a_registry_that_does_not_answer_is_asked_once(file: Path) -> None:
    source, offer, key = source_with_offer(file)
    lines: list[str] = []
    with pytest.raises(ImageError, match="no such host"):
        source.provide(offer, OfflineEngine(), lines.append)
    online = FakeEngine()
    online.registry[key] = fake_image(key, "linux/386")
    with pytest.raises(ImageError, match="does not answer") as caught:
        source.provide(offer, online, lines.append)
    assert caught.value.reason is Reason.NO_IMAGE
    assert len(lines) == 1


def test_an_image_of_another_platform_is_the_wrong_one(file: Path) -> None:
    source, offer, key = source_with_offer(file)
    engine = FakeEngine(fake_image(key, "linux/amd64"))
    engine.registry[key] = fake_image(key, "linux/amd64")
    with pytest.raises(ImageError, match="linux/amd64") as caught:
        source.provide(offer, engine, print)
    assert caught.value.reason is Reason.WRONG_IMAGE


def test_without_a_host_the_engine_decides_where_to_go() -> None:
    assert registry_reference("python:x", {}) == "python:x"
    assert (
        registry_reference("python:x", {REGISTRY_VARIABLE: "m.example:5000"})
        == "m.example:5000/python:x"
    )
