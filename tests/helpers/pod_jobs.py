"""Jobs of the fake app for pods of a fake cluster, with wheels that pip installs there."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgpack  # type: ignore[import-untyped]

from helpers.cell_jobs import DETECTION, VISIT, fake_job
from helpers.fake_kubernetes import CONTEXT
from matrix.cells.job import CellJob
from matrix.kubernetes.archive import pack, project_files
from matrix.kubernetes.namespaces import run_namespace
from matrix.model.probe import Channel, Compared, Probe

__all__ = ["pod_job", "write_wheels"]

# It marks the process, which shows that it was started by its folder on PYTHONPATH.
_INJECTED = 'import os\n\nos.environ["INJECTED"] = "yes"\n'
# Its answer is that of the app without the tracer, so that a bare process runs, too.
_SAME = dataclasses.replace(VISIT, plain=200, compared=Compared.STATUS)
_COMPARED = Probe(
    name="compared",
    title="Tracing that changes no answer",
    channels=(Channel("request", "off", (_SAME,), control="untraced"),),
)
_FAKE_APP = Path(__file__).parent / "fake_app"


@contextlib.contextmanager
def pod_job(
    folder: Path, mode: str = "", *, lock: tuple[str, ...] | None = None
) -> Iterator[CellJob]:
    """Yield a job of the fake app in the place, with the namespace of its run.

    Without a `lock` its distributions are those of `write_wheels`.
    """
    job = fake_job(folder, "", probes=(DETECTION, _COMPARED))
    cell = dataclasses.replace(job.planned.cell, place="kubernetes", target="linux_x86_64")
    files = {
        name: path
        for name, path in project_files().items()
        if not name.startswith("apps/") or "_shop/" in name  # whose folders say what there is
    }
    for path in sorted(job.apps.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[f"apps/{path.relative_to(job.apps).as_posix()}"] = path
    with run_namespace(CONTEXT, pack(files)) as namespace:
        yield dataclasses.replace(
            job,
            planned=dataclasses.replace(job.planned, cell=cell),
            lock=lock if lock is not None else write_wheels(folder / "wheels"),
            cluster=namespace,
        )


def write_wheels(folder: Path) -> tuple[str, ...]:
    """Write what the fake app and its tracer need as wheels, and return their lock."""
    folder.mkdir()
    tracer = _FAKE_APP / "ddtrace"
    sources = {
        path.relative_to(_FAKE_APP).as_posix(): path.read_text(encoding="utf-8")
        for path in tracer.rglob("*.py")
    }
    sources["ddtrace/bootstrap/sitecustomize.py"] = _INJECTED
    assert msgpack.__file__
    library = Path(msgpack.__file__).parent
    pure = {f"msgpack/{path.name}": path.read_text("utf-8") for path in library.glob("*.py")}
    return (
        _wheel(folder, "Flask", "1.0", {}),
        _wheel(folder, "ddtrace", "9.9.9", sources),
        _wheel(folder, "msgpack", "1.0", pure),
    )


def _wheel(folder: Path, name: str, version: str, sources: Mapping[str, str]) -> str:
    """Write a wheel, and return its line of a lock."""
    info = f"{name}-{version}.dist-info"
    files = {
        **sources,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{file},{_record(text)}\n" for file, text in files.items()]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(content.getvalue())
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(content.getvalue()).hexdigest()}"


def _record(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    return f"sha256={digest},{len(text.encode())}"
