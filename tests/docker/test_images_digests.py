"""The shipped digests: each is of one image for one platform, and names its origin."""

from __future__ import annotations

import collections
import datetime as dt
import re
from pathlib import Path

import pytest

from matrix.docker.images.recipes import read_recipes
from matrix.docker.images.registry import (
    DIGEST_PATTERN,
    DigestTable,
    ImageDigest,
    ImagePattern,
    digests_path,
    read_digests,
    write_digests,
)

RECORD = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{12}:[\w/.-]+/(\d+\.\d+)\.\d+-slim\.md")
SHIPPED = read_digests(digests_path())
PLATFORMS = {target.platform for target in read_recipes().targets}


@pytest.mark.parametrize("python", SHIPPED.pattern.pythons)
def test_every_wanted_cpython_has_one_image_for_each_platform(python: str) -> None:
    images = [image for image in SHIPPED.images if image.python == python]
    assert sorted(image.platform for image in images) == sorted(PLATFORMS)


def test_no_digest_stands_for_two_images() -> None:
    """The digest of a list of platforms would be the same for all its images."""
    counts = collections.Counter(image.digest for image in SHIPPED.images)
    assert [digest for digest, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(
    "image", SHIPPED.images, ids=lambda image: f"{image.python}-{image.platform}"
)
def test_an_entry_is_well_formed_and_of_its_own_cpython(image: ImageDigest) -> None:
    assert DIGEST_PATTERN.fullmatch(image.digest)
    assert image.python in SHIPPED.pattern.pythons
    assert image.name == SHIPPED.pattern.name.format(python=image.python)
    released = dt.date.fromisoformat(image.read)
    assert dt.date(2020, 1, 1) <= released <= dt.datetime.now(dt.timezone.utc).date()
    if image.read_from:
        record = RECORD.fullmatch(image.read_from)
        assert record is not None
        assert record[1] == image.python


def test_where_a_digest_was_read_is_kept_and_a_registry_s_own_answer_says_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "digests.toml"
    path.write_text("# Comment.\n", "utf-8")
    pattern = ImagePattern("python:{python}-slim", ("3.11", "3.12"), "/p", "/s")
    images = (
        ImageDigest("3.11", "linux/386", "python:3.11-slim", f"sha256:{'a' * 64}", "2026-11-20"),
        ImageDigest(
            "3.12", "linux/386", "python:3.12-slim", f"sha256:{'b' * 64}", "2026-01-01", "o/r@1:f"
        ),
    )
    write_digests(path, DigestTable(pattern, images))
    assert read_digests(path).images == images
    assert path.read_text("utf-8").count("read_from") == 1
