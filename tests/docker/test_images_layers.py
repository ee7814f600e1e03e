"""Layers and archives: equal content makes equal images, independent of the current time."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.docker.images.layers import (
    EPOCH,
    ImageContent,
    LayerWriter,
    filter_archive,
    read_layer,
    write_archive,
)


def tar_stream(*infos: tarfile.TarInfo) -> io.BytesIO:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for info in infos:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    sink.seek(0)
    return sink


def info(
    name: str, kind: bytes = tarfile.REGTYPE, mtime: int = 1000, target: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mtime, member.linkname = kind, mtime, target
    member.uid, member.uname = 42, "_apt"
    member.size = 3 if kind == tarfile.REGTYPE else 0
    return member


def read_members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return {member.name: member for member in tar}


def test_what_is_left_out_goes_with_all_below_it(tmp_path: Path) -> None:
    source = tar_stream(
        info("./usr/share/doc", tarfile.DIRTYPE),
        info("./usr/share/doc/a/b"),
        info("./usr/share/documents"),
        info("./usr/bin/perl5.36"),
        info("./usr/bin/perl", tarfile.LNKTYPE, target="./usr/bin/perl5.36"),
        info("./dev/null", tarfile.CHRTYPE),
    )
    layer = filter_archive(source, tmp_path / "l.tar", ["usr/share/doc", "usr/bin/perl5*"], 1e12)
    assert list(read_members(layer.path)) == ["usr/share/documents"]


def test_a_star_does_not_reach_into_folders(tmp_path: Path) -> None:
    source = tar_stream(info("./etc/python3.9/x"), info("./etc/other/python3.9"))
    layer = filter_archive(source, tmp_path / "l.tar", ["etc/python*"], 1e12)
    assert list(read_members(layer.path)) == ["etc/other/python3.9"]


def test_times_of_files_stay_but_those_of_the_making_do_not(tmp_path: Path) -> None:
    # Byte code of CPythons before 3.7 is valid by the time of its source.
    source = tar_stream(
        info("./old", mtime=1000), info("./new", mtime=5000), info("d", tarfile.DIRTYPE)
    )
    members = read_members(filter_archive(source, tmp_path / "l.tar", [], 5000).path)
    assert [members[name].mtime for name in ("old", "new", "d")] == [1000, EPOCH, EPOCH]
    assert {(member.uid, member.uname) for member in members.values()} == {(0, "")}


def test_a_layer_has_the_folders_above_what_it_holds_readable(tmp_path: Path) -> None:
    with LayerWriter(tmp_path / "l.tar") as writer:
        writer.folder("/root/a/b")
        writer.folder("/root/a/c")
        writer.file("/root/a/c/f", b"1")
    members = read_members(writer.layer.path)
    assert list(members) == ["root", "root/a", "root/a/b", "root/a/c", "root/a/c/f"]
    assert members["root"].mode == 0o755
    assert read_layer(writer.layer.path) == writer.layer
    assert writer.layer.size == writer.layer.path.stat().st_size


@settings(max_examples=25)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.binary(max_size=20), min_size=1))
def test_the_id_follows_from_the_content(files: dict[str, bytes]) -> None:
    def write(folder: Path, label: str) -> tuple[str, bytes]:
        with LayerWriter(folder / "layer.tar") as writer:
            for name, data in files.items():
                writer.file(name, data)
        sink = io.BytesIO()
        content = ImageContent(
            "linux/386", [writer.layer], {"PATH": "/bin"}, {"label": label}, "a:b"
        )
        return write_archive(content, sink), sink.getvalue()

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        first = write(Path(folder), "x")
        assert write(Path(other), "x") == first
        assert write(Path(other), "y")[0] != first[0]
    archive = {}
    with tarfile.open(fileobj=io.BytesIO(first[1])) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            archive[member.name] = stream.read()
    manifest = json.loads(archive["manifest.json"])[0]
    config = archive[manifest["Config"]]
    assert first[0] == f"sha256:{hashlib.sha256(config).hexdigest()}"
    configuration = json.loads(config)
    assert (configuration["os"], configuration["architecture"]) == ("linux", "386")
    layers = [archive[name] for name in manifest["Layers"]]
    diffs = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    assert configuration["rootfs"]["diff_ids"] == diffs
