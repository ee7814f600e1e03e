"""Contents of a wheel that audits check, their JSON form, and the parsers of its files.

The JSON form holds everything that a check may need, so that checks can change without a new
download. https://packaging.python.org/en/latest/specifications/core-metadata/
Native libraries are read by pyelftools, macholib and pefile, which are pure Python: a hostile file
can only make them raise.
"""

from __future__ import annotations

import dataclasses
import email.parser
import functools
import io
import struct
from collections.abc import Mapping
from typing import Any

import pefile
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment
from macholib.mach_o import CPU_TYPE_NAMES, fat_arch, fat_arch64, fat_header, mach_header
from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from matrix.pypi.imports import Import, ImportCondition, ModuleImports
from matrix.pypi.remote_file import BadArtifactError

# Enough for format and machine: an ELF header takes 64 bytes, a fat Mach-O's table 8 + 20 for each
# machine, and a PE's header follows a DOS program of 100 to 300 bytes.
HEAD = 4096
_MOST_NAMES = 200

_ELF = {
    "EM_X86_64": "x86_64",
    "EM_386": "i686",
    "EM_AARCH64": "aarch64",
    "EM_ARM": "armv7l",
    "EM_PPC64": "ppc64le",
    "EM_S390": "s390x",
    "EM_RISCV": "riscv64",
}
_MACH_O = {"x86_64": "x86_64", "i386": "i686", "ARM64": "aarch64", "ARM": "armv7l"}
_PE = {
    "IMAGE_FILE_MACHINE_AMD64": "x86_64",
    "IMAGE_FILE_MACHINE_I386": "i686",
    "IMAGE_FILE_MACHINE_ARM64": "aarch64",
    "IMAGE_FILE_MACHINE_ARMNT": "armv7l",
}
_FAT64 = 0xCAFEBABF
_ABI64 = 0x01000000
_MOST_MACHINES = 20


@dataclasses.dataclass(frozen=True)
class NativeLibrary:
    """One native library; `machines` and `bits` have one item for each of its parts.

    `format` is `elf`, `mach-o`, `pe`, or "" for a file that is none of them despite its name.
    `needed` are the libraries that an ELF file requires, with its program interpreter, and None
    where they were not read.
    """

    path: str
    format: str
    machines: tuple[str, ...] = ()
    bits: tuple[int, ...] = ()
    needed: tuple[str, ...] | None = None


def read_head(path: str, head: bytes) -> NativeLibrary:
    """Parse the first `HEAD` bytes of a library; raise `BadArtifactError` for a damaged header."""
    readers = {
        b"\x7fELF": _elf,
        b"\xca\xfe\xba\xbe": _fat,
        b"\xca\xfe\xba\xbf": _fat,
        b"\xcf\xfa\xed\xfe": _mach_o,
        b"\xce\xfa\xed\xfe": _mach_o,
    }
    reader = _pe if head[:2] == b"MZ" else readers.get(head[:4])
    if reader is None:
        return NativeLibrary(path, "")
    try:
        return reader(path, head)
    except Exception as error:  # the readers raise whatever a damaged file leads them to
        raise BadArtifactError(path, f"its header is damaged ({error})") from error


def read_needed(library: NativeLibrary, content: bytes) -> NativeLibrary:
    """Return an ELF library with its dependencies, others unchanged; `content` is the file."""
    if library.format != "elf":
        return library
    try:
        return dataclasses.replace(library, needed=_elf_needed(content))
    except Exception as error:  # as above
        raise BadArtifactError(library.path, f"its dynamic section is damaged ({error})") from error


def _elf(path: str, head: bytes) -> NativeLibrary:
    # The section table at the end of the file is only read when sections are accessed.
    file = ELFFile(io.BytesIO(head))
    machine = str(file["e_machine"])
    return NativeLibrary(path, "elf", (_ELF.get(machine, machine),), (file.elfclass,))


def _fat(path: str, head: bytes) -> NativeLibrary:
    stream = io.BytesIO(head)
    header = fat_header.from_fileobj(stream, _endian_=">")
    count = int(header.nfat_arch)
    # Java's class files start with the same four bytes, followed by a version above 40.
    if not 0 < count <= _MOST_MACHINES:
        return NativeLibrary(path, "")
    row = fat_arch64 if header.magic == _FAT64 else fat_arch
    parts = [row.from_fileobj(stream, _endian_=">") for _ in range(count)]
    return _mach_o_parts(path, [int(part.cputype) for part in parts])


def _mach_o(path: str, head: bytes) -> NativeLibrary:
    header = mach_header.from_fileobj(io.BytesIO(head), _endian_="<")
    return _mach_o_parts(path, [int(header.cputype)])


def _mach_o_parts(path: str, types: list[int]) -> NativeLibrary:
    names = [str(CPU_TYPE_NAMES.get(number, number)) for number in types]
    machines = tuple(_MACH_O.get(name, name) for name in names)
    return NativeLibrary(
        path, "mach-o", machines, tuple(64 if number & _ABI64 else 32 for number in types)
    )


def _pe(path: str, head: bytes) -> NativeLibrary:
    (start,) = struct.unpack_from("<I", head, 60)
    if head[start : start + 4] != b"PE\0\0":
        return NativeLibrary(path, "")
    file = pefile.PE(data=head, fast_load=True)
    try:
        machine = str(pefile.MACHINE_TYPE.get(file.FILE_HEADER.Machine, "unknown"))
        bits = 64 if file.PE_TYPE == pefile.OPTIONAL_HEADER_MAGIC_PE_PLUS else 32
    finally:
        file.close()
    return NativeLibrary(path, "pe", (_PE.get(machine, machine),), (bits,))


def _elf_needed(content: bytes) -> tuple[str, ...]:
    names: list[str] = []
    for segment in ELFFile(io.BytesIO(content)).iter_segments():
        if isinstance(segment, InterpSegment):
            names.append(str(segment.get_interp_name()))
        elif isinstance(segment, DynamicSegment):
            for number, tag in enumerate(segment.iter_tags("DT_NEEDED")):
                if number >= _MOST_NAMES:
                    raise ValueError(f"more than {_MOST_NAMES} libraries")
                names.append(str(getattr(tag, "needed", "")))
    return tuple(names)


@dataclasses.dataclass(frozen=True)
class WheelMetadata:
    """Metadata of a wheel: `requires` are its lines as written, `odd` the ones that are invalid."""

    name: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    odd: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class WheelRequirement:
    """A requirement whose marker holds on a CPython and machine."""

    project: str
    specifier: str
    as_written: str


def read_metadata(content: bytes) -> WheelMetadata:
    """Parse METADATA; nothing is an error, as installers are as lenient."""
    message = email.parser.BytesParser().parsebytes(content, headersonly=True)
    lines = [str(line) for line in message.get_all("Requires-Dist", [])]
    requires = tuple(line for line in lines if _is_requirement(line))
    return WheelMetadata(
        name=str(message.get("Name", "")),
        version=str(message.get("Version", "")),
        requires_python=str(message.get("Requires-Python", "")),
        requires=requires,
        odd=tuple(line for line in lines if line not in requires),
    )


def _is_requirement(line: str) -> bool:
    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return True


# Wheels of a release have the same lines, and parsing them takes most of the time.
_requirement = functools.lru_cache(maxsize=4096)(Requirement)


def requirements_on(
    metadata: WheelMetadata, environment: dict[str, str]
) -> tuple[WheelRequirement, ...]:
    """Return the requirements whose markers hold, without those of extras.

    `environment` are marker variables (`python_version`, `sys_platform`); missing ones are those
    of this machine.
    """
    requirements = []
    for line in metadata.requires:
        requirement = _requirement(line)
        if requirement.marker is not None:
            try:
                if not requirement.marker.evaluate({**environment, "extra": ""}):
                    continue
            except (UndefinedComparison, UndefinedEnvironmentName):
                continue
        name = str(canonicalize_name(requirement.name))
        requirements.append(WheelRequirement(name, str(requirement.specifier), line))
    return tuple(requirements)


FORMAT = "artifact/1"


@dataclasses.dataclass(frozen=True)
class WheelContents:
    """The contents of one wheel: `names` are its members, `notes` describe unreadable ones.

    `sources` is a digest over its Python files, which many wheels of one release have in common;
    `modules` are the imports of those files.
    """

    filename: str
    sha256: str
    names: tuple[str, ...]
    libraries: tuple[NativeLibrary, ...]
    metadata: WheelMetadata
    sources: str
    modules: tuple[ModuleImports, ...] = ()
    notes: tuple[str, ...] = ()


def to_json(contents: WheelContents) -> dict[str, Any]:
    """Return the contents as JSON values, without the modules, which are stored by `sources`."""
    data = {"format": FORMAT, **vars(contents)}
    del data["modules"]
    data["libraries"] = [dataclasses.astuple(library) for library in contents.libraries]
    data["metadata"] = dataclasses.asdict(contents.metadata)
    return data


def from_json(data: Mapping[str, Any], modules: tuple[ModuleImports, ...] = ()) -> WheelContents:
    """Return the contents that `to_json` wrote; raise ValueError, KeyError or TypeError."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    metadata = data["metadata"]
    lists = {name: tuple(metadata[name]) for name in ("requires", "odd")}
    return WheelContents(
        filename=data["filename"],
        sha256=data["sha256"],
        names=tuple(data["names"]),
        libraries=tuple(
            NativeLibrary(path, form, tuple(machines), tuple(bits), _tuple(needed))
            for path, form, machines, bits, needed in data["libraries"]
        ),
        metadata=WheelMetadata(**metadata | lists),
        sources=data["sources"],
        modules=modules,
        notes=tuple(data["notes"]),
    )


def modules_to_json(modules: tuple[ModuleImports, ...]) -> dict[str, Any]:
    """Return the modules as JSON values."""
    rows = [
        [
            module.path,
            [[one.module, one.name, one.line, one.condition] for one in module.imports],
            module.names,
            module.exact,
        ]
        for module in modules
    ]
    return {"format": FORMAT, "modules": rows}


def modules_from_json(data: Mapping[str, Any]) -> tuple[ModuleImports, ...]:
    """Return the modules from `modules_to_json`; raises as `from_json` does."""
    if data["format"] != FORMAT:
        raise ValueError(f"not {FORMAT}")
    return tuple(
        ModuleImports(
            path,
            tuple(
                Import(module, name, line, ImportCondition(condition))
                for module, name, line, condition in imports
            ),
            _tuple(names),
            exact,
        )
        for path, imports, names, exact in data["modules"]
    )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
