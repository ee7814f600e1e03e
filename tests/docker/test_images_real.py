"""Real images on a real engine: built, inspected from inside, pulled by digest."""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fake_registry import MANIFEST, FakeRegistry, fake_registry

from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.images.debian import DebianSource, find_obstacle
from matrix.docker.images.host import HostSource
from matrix.docker.images.interface import ImageError
from matrix.docker.images.layers import (
    ImageContent,
    LayerWriter,
    build_configuration,
    write_archive,
)
from matrix.docker.images.registry import (
    DigestTable,
    ImageDigest,
    RegistrySource,
    digests_path,
    read_digests,
    write_digests,
)
from matrix.docker.interface import ContainerError, ContainerSpec
from matrix.docker.labels import lock_run
from matrix.docker.platforms import REGISTRY_VARIABLE
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.system.paths import cache_dir

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

# Reports whether byte code is used and the C library found, and the user.
PROBE = """
import ctypes.util, json, os, platform, pwd, struct, sys
def is_stale(module):
    path = getattr(module, "__file__", None) or ""
    if getattr(getattr(module, "__spec__", None), "origin", "") == "frozen":
        return False
    path = path[:-1] if path.endswith(".pyc") else path
    if not path.endswith(".py"):
        return False
    compiled = getattr(module, "__cached__", None) or path + "c"
    if not os.path.exists(compiled):
        return True
    with open(compiled, "rb") as file:
        head = file.read(16)
    if sys.version_info >= (3, 7):
        return struct.unpack("<I", head[4:8])[0] != 1
    return struct.unpack("<I", head[4:8])[0] != int(os.stat(path).st_mtime)
print(json.dumps({
    "stale": [name for name, module in sys.modules.items() if is_stale(module)],
    "libc": ctypes.util.find_library("c"),
    "user": pwd.getpwuid(os.getuid()).pw_name,
    "machine": platform.machine(),
    "site": os.listdir([p for p in sys.path if p.endswith("-packages")][0]),
    "places": [os.path.isdir(p) for p in ("/cell/apps", "/cell/fixtures", "/tmp")],
}))
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerEngine]:
    with lock_run(tmp_path_factory.mktemp("runs")) as run, connect(run) as real:
        yield real


def run_probe(engine: DockerEngine, image: Image) -> dict[str, object]:
    argv = (*image.launch, image.executable, "-E", "-s", "-")
    spec = ContainerSpec(image.id, image.platform, argv, dict(image.environment))
    result = engine.run(spec, 120, PROBE.encode())
    assert result.code == 0, result.err
    facts: dict[str, object] = json.loads(result.out)
    return facts


def check(engine: DockerEngine, image: Image, machine: str) -> None:
    facts = run_probe(engine, image)
    assert facts["stale"] == []
    assert str(facts["libc"]).startswith("libc.so")
    assert facts["user"] == "cell"
    assert facts["machine"] == machine
    assert facts["places"] == [True, True, True]


@pytest.mark.parametrize(
    ("python", "target", "machine"),
    [
        ("2.7", "linux_i686", "i686"),
        ("3.9", "linux_i686", "i686"),
        ("3.11", "linux_i686", "i686"),
        ("3.11", "linux_x86_64", "x86_64"),
        pytest.param("3.11", "linux_aarch64", "aarch64", marks=pytest.mark.emulation),
        pytest.param("3.13", "linux_aarch64", "aarch64", marks=pytest.mark.emulation),
    ],
)
def test_an_image_of_debian_is_what_it_says(
    engine: DockerEngine, python: str, target: str, machine: str
) -> None:
    obstacle, remedy = find_obstacle()
    if obstacle:
        pytest.skip(f"{obstacle}: {remedy}")
    # The real cache: an existing image need not be built for a test.
    catalog = ImageCatalog(engine, cache_dir(), [DebianSource()])
    image = catalog.ensure(python, target, print)
    assert image.python.startswith(f"{python}.")
    check(engine, image, machine)
    assert catalog.find(python, target) == image


def test_an_interpreter_of_this_machine_runs_in_an_image(engine: DockerEngine) -> None:
    source = HostSource(cache_dir())
    offers = [offer for offer in source.offers(engine) if not offer.obstacle]
    if not offers or offers[0].platform != engine.info.platform:
        pytest.skip("no interpreter of this machine fits the engine: install one with pyenv or uv")
    catalog = ImageCatalog(engine, cache_dir(), [source])
    image = catalog.ensure(offers[0].python, offers[0].target, print)
    facts = run_probe(engine, image)
    assert facts["site"] == []
    check(engine, image, str(facts["machine"]))


class PulledImage:
    """A tiny image in a registry on loopback, and a file with its digest."""

    def __init__(self, folder: Path, registry: FakeRegistry, platform: str) -> None:
        with LayerWriter(folder / "layer.tar") as writer:
            writer.file("/unique", os.urandom(8))
        content = ImageContent(platform, [writer.layer], {}, {})
        config = build_configuration(content)
        packed = gzip.compress(writer.layer.path.read_bytes())
        kind = "application/vnd.docker."
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": f"{kind}container.image.v1+json", **registry.add_blob(config)},
            "layers": [
                {"mediaType": f"{kind}image.rootfs.diff.tar.gzip", **registry.add_blob(packed)}
            ],
        }
        self.id = write_archive(content, io.BytesIO())
        body = json.dumps(manifest).encode()
        self.digest = registry.add("library/python", MANIFEST, body)
        self.file = folder / "digests.toml"
        self.file.write_text(digests_path().read_text("utf-8"), "utf-8")
        image = ImageDigest("3.11", "linux/386", "python:3.11-slim", self.digest, "2026-11-20")
        write_digests(self.file, DigestTable(read_digests(self.file).pattern, (image,)))
        self.source = RegistrySource(self.file, {REGISTRY_VARIABLE: f"{registry.host}/library"})


@pytest.fixture
def registry(engine: DockerEngine) -> Iterator[FakeRegistry]:
    if not engine.info.shares_files:
        pytest.skip("the engine is on another machine, and cannot reach a registry of this one")
    with fake_registry() as registry:
        yield registry


def test_an_image_is_pulled_by_digest_once(
    engine: DockerEngine, registry: FakeRegistry, tmp_path: Path
) -> None:
    pulled = PulledImage(tmp_path, registry, "linux/386")
    offer = next(offer for offer in pulled.source.offers(engine) if offer.key)
    try:
        assert pulled.source.provide(offer, engine, print) == (pulled.id, pulled.digest)
        requests = len(registry.requests)
        assert any(path.endswith(pulled.digest) for path in registry.requests)
        assert pulled.source.provide(offer, engine, print) == (pulled.id, pulled.digest)
        assert len(registry.requests) == requests
        entries = ImageCatalog(engine, tmp_path, [pulled.source]).entries()
        assert [entry.image.id for entry in entries if entry.image] == [pulled.id]
        assert pulled.id in {image.id for image in engine.images()}
    finally:
        engine.client.remove_image(pulled.id, force=True)


def test_an_image_of_the_wrong_platform_is_refused(
    engine: DockerEngine, registry: FakeRegistry, tmp_path: Path
) -> None:
    pulled = PulledImage(tmp_path, registry, "linux/amd64")
    catalog = ImageCatalog(engine, tmp_path, [pulled.source])
    try:
        with pytest.raises(ImageError) as caught:
            catalog.ensure("3.11", "linux_i686", print)
        assert caught.value.reason is Reason.WRONG_IMAGE
        assert catalog.find("3.11", "linux_i686") is None
    finally:
        if engine.image(pulled.id):
            engine.client.remove_image(pulled.id, force=True)


def test_what_the_engine_loads_has_the_id_that_we_computed(
    engine: DockerEngine, tmp_path: Path
) -> None:
    with LayerWriter(tmp_path / "layer.tar") as writer:
        writer.file("/unique", os.urandom(8))
    content = ImageContent(
        "linux/arm64", [writer.layer], {"PATH": "/bin"}, {"compat-matrix-test": "x"}
    )
    with tempfile.TemporaryFile() as archive:
        computed = write_archive(content, archive)
        archive.seek(0)
        assert engine.load(archive) == computed
    image = engine.image(computed)
    assert image is not None
    assert image.platform == "linux/arm64"
    engine.discard(computed)
    assert engine.image(computed) is None
    engine.discard(computed)
    with pytest.raises(ContainerError):
        engine.run(ContainerSpec(computed, "linux/arm64", ["/x"]), 5)
