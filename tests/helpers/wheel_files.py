"""Wheels, native libraries and a file server of our own making, to look into."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import io
import struct
import threading
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.model.index import File

MACHINES = {"x86_64": (64, 62), "i686": (32, 3), "aarch64": (64, 183)}
METADATA = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def elf(machine: str = "x86_64", needed: tuple[str, ...] = ()) -> bytes:
    """Return a 64-bit or 32-bit library with a dynamic section and nothing else."""
    bits, number = MACHINES[machine]
    names = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    wide = bits == 64
    head, row = (64, 56) if wide else (52, 32)
    strings = head + 2 * row
    tags, at = [], 1
    for name in needed:
        tags.append((1, at))
        at += len(name) + 1
    tags += [(5, strings), (10, len(names)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ" if wide else "<II", *tag) for tag in tags)
    start = strings + len(names)
    size = start + len(dynamic)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    rest = (3, number, 1, 0, head, 0, 0, head, row, 2, 0, 0, 0)
    header = ident + struct.pack("<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", *rest)
    if wide:
        segments = [
            (1, 5, 0, 0, 0, size, size, 1),
            (2, 6, start, start, start, *[len(dynamic)] * 2, 8),
        ]
        table = b"".join(struct.pack("<IIQQQQQQ", *segment) for segment in segments)
    else:
        old = [(1, 0, 0, 0, size, size, 5, 1), (2, start, start, start, *[len(dynamic)] * 2, 6, 4)]
        table = b"".join(struct.pack("<IIIIIIII", *segment) for segment in old)
    return header + table + names + dynamic


def mach_o(*machines: str) -> bytes:
    """Return a library's header, a fat one where there are several machines."""
    types = {"x86_64": 0x01000007, "aarch64": 0x0100000C, "i686": 7}
    parts = [
        struct.pack("<IIIIIII", 0xFEEDFACF, types[machine], 0, 6, 0, 0, 0) for machine in machines
    ]
    if len(parts) == 1:
        return parts[0] + bytes(4)
    rows = [struct.pack(">IIIII", types[machine], 0, 4096, 28, 12) for machine in machines]
    return struct.pack(">II", 0xCAFEBABE, len(rows)) + b"".join(rows) + bytes(64)


def pe(machine: str = "x86_64") -> bytes:
    """Return a DLL's headers."""
    number, magic, size = {
        "x86_64": (0x8664, 0x20B, 112 + 128),
        "i686": (0x14C, 0x10B, 96 + 128),
        "aarch64": (0xAA64, 0x20B, 112 + 128),
    }[machine]
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    coff = struct.pack("<HHIIIHH", number, 0, 0, 0, 0, size, 0x2022)
    optional = bytearray(size)
    struct.pack_into("<H", optional, 0, magic)
    struct.pack_into("<II", optional, 32, 4096, 512)
    struct.pack_into("<I", optional, size - 128 - 4, 16)
    return dos + b"PE\0\0" + coff + bytes(optional) + bytes(512)


def wheel(members: Mapping[str, Any], metadata: str = METADATA) -> bytes:
    """Return the bytes of a wheel with these members and a METADATA."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        archive.writestr("demo-1.0.dist-info/METADATA", metadata)
    return stream.getvalue()


@dataclasses.dataclass
class Files:
    """The files of a server; `fault` is one of its faults, `ranges` are the requested ones."""

    url: str = ""
    content: dict[str, bytes] = dataclasses.field(default_factory=dict)
    fault: str = ""
    ranges: list[str] = dataclasses.field(default_factory=list)

    def add(self, filename: str, content: bytes, sha256: str | None = None) -> File:
        """Serve a file; return what an index says of it."""
        self.content[f"/{filename}"] = content
        digest = hashlib.sha256(content).hexdigest() if sha256 is None else sha256
        tags = "-".join(filename[:-4].split("-")[2:])
        return File(filename, f"{self.url}/{filename}", digest, None, "", False, tags)


@contextlib.contextmanager
def serving() -> Iterator[Files]:
    """Run a file server that knows ranges."""
    files = Files()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, files)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        files.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield files
        finally:
            server.shutdown()
            thread.join()


def _answer(handler: http.server.BaseHTTPRequestHandler, files: Files) -> None:
    requested = handler.headers.get("Range", "").removeprefix("bytes=")
    files.ranges.append(requested)
    content = files.content.get(handler.path)
    handler.close_connection = True
    if content is None:
        handler.send_error(404)
        return
    total = len(content)
    first, _, last = requested.partition("-")
    if files.fault == "no suffix ranges" and not first:
        handler.send_error(416)
        return
    start = int(first) if first else max(0, total - int(last))
    end = min(int(last), total - 1) if first else total - 1
    whole = files.fault == "no ranges" or not requested
    body = content if whole else content[start : end + 1]
    if files.fault == "garbage":
        body = b"<html>Please sign in</html>"
        whole = True
    handler.send_response(200 if whole else 206)
    if not whole and files.fault != "no range named":
        shift = 1 if files.fault == "another range" else 0
        handler.send_header("Content-Range", f"bytes {start + shift}-{end + shift}/{total}")
    if files.fault == "half-way":
        handler.send_header("Content-Length", str(len(body)))
        body = body[: len(body) // 2]
    elif files.fault == "endless":
        body = bytes(1 << 22)
    else:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    with contextlib.suppress(OSError):
        handler.wfile.write(body)
