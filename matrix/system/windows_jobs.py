"""Windows only: job objects, which contain a process and its descendants, and end with ours.

https://learn.microsoft.com/en-us/windows/win32/procthread/job-objects
"""

from __future__ import annotations

import ctypes
import sys

if sys.platform != "win32":
    raise ImportError("Windows only: elsewhere a process tree is a session")

from ctypes import c_int, c_size_t, c_ulonglong, c_void_p
from ctypes.wintypes import BOOL, DWORD, HANDLE, LARGE_INTEGER, LPCWSTR, UINT

_CREATE_SUSPENDED, _CREATE_NEW_PROCESS_GROUP = 0x4, 0x200
FLAGS = _CREATE_SUSPENDED | _CREATE_NEW_PROCESS_GROUP
"""Creation flags of a process for `WindowsJob.assign`; its process group gets no Ctrl-C of ours."""

_PROCESS_IDS, _EXTENDED_LIMITS = 3, 9
_KILL_ON_CLOSE = 0x2000
_TERMINATE, _SET_QUOTA, _SUSPEND_RESUME = 0x1, 0x100, 0x800
_SYNCHRONIZE, _QUERY_LIMITED = 0x100000, 0x1000
_WAIT_TIMEOUT = 0x102
_EXIT_CODE = 1
_MOST_IDS = 256


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", LARGE_INTEGER),
        ("PerJobUserTimeLimit", LARGE_INTEGER),
        ("LimitFlags", DWORD),
        ("MinimumWorkingSetSize", c_size_t),
        ("MaximumWorkingSetSize", c_size_t),
        ("ActiveProcessLimit", DWORD),
        ("Affinity", c_size_t),
        ("PriorityClass", DWORD),
        ("SchedulingClass", DWORD),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", c_ulonglong * 6),
        ("ProcessMemoryLimit", c_size_t),
        ("JobMemoryLimit", c_size_t),
        ("PeakProcessMemoryUsed", c_size_t),
        ("PeakJobMemoryUsed", c_size_t),
    )


class _ProcessIds(ctypes.Structure):
    _fields_ = (
        ("NumberOfAssignedProcesses", DWORD),
        ("NumberOfProcessIdsInList", DWORD),
        ("ProcessIdList", c_size_t * _MOST_IDS),
    )


_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
for _name, _result, *_arguments in (
    ("CreateJobObjectW", HANDLE, c_void_p, LPCWSTR),
    ("SetInformationJobObject", c_int, HANDLE, c_int, c_void_p, DWORD),
    ("QueryInformationJobObject", c_int, HANDLE, c_int, c_void_p, DWORD, c_void_p),
    ("WaitForSingleObject", DWORD, HANDLE, DWORD),
    ("GetExitCodeProcess", c_int, HANDLE, c_void_p),
    ("OpenProcess", HANDLE, DWORD, BOOL, DWORD),
    ("AssignProcessToJobObject", c_int, HANDLE, HANDLE),
    ("TerminateProcess", c_int, HANDLE, UINT),
    ("TerminateJobObject", c_int, HANDLE, UINT),
    ("CloseHandle", c_int, HANDLE),
):
    _function = getattr(_kernel, _name)
    _function.restype, _function.argtypes = _result, _arguments
_ntdll = ctypes.WinDLL("ntdll")
_ntdll.NtResumeProcess.argtypes = (HANDLE,)
_ntdll.NtResumeProcess.restype = ctypes.c_long


class WindowsJob:
    """A job whose processes end when its handle is closed: by `close`, or by the end of ours."""

    def __init__(self) -> None:
        """Create an empty job; raise OSError."""
        self._successor: int | None = None
        self._handle: int | None = _kernel.CreateJobObjectW(None, None)
        if not self._handle:
            raise ctypes.WinError(ctypes.get_last_error())
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_CLOSE
        size = ctypes.sizeof(limits)
        if not _kernel.SetInformationJobObject(
            self._handle, _EXTENDED_LIMITS, ctypes.byref(limits), size
        ):
            raise self._refused()

    def assign(self, pid: int) -> None:
        """Add a process that was created with `FLAGS` and resume it; end it and raise OSError.

        It was created suspended, so none of its children can be outside the job.
        """
        rights = _TERMINATE | _SET_QUOTA | _SUSPEND_RESUME
        process = _kernel.OpenProcess(rights, False, pid)  # noqa: FBT003 - the function has no names
        if not process:
            raise self._refused()
        try:
            if not _kernel.AssignProcessToJobObject(self._handle, process):
                error = self._refused()
                _kernel.TerminateProcess(process, _EXIT_CODE)
                raise error
            if status := _ntdll.NtResumeProcess(process):
                self.close()
                raise OSError(f"cannot resume the process: status {status & 0xFFFFFFFF:#x}")
        finally:
            _kernel.CloseHandle(process)

    def successor_exit_code(self) -> int | None:
        """Return the exit code of the process that replaced the first one by `exec`.

        None while it runs, and 0, as the first one's code, where there is no such process. On
        Windows the caller of `exec` starts another process, and ends with code 0.
        """
        if self._successor is None:
            self._successor = self._running()
        if self._successor is None:
            return 0
        if _kernel.WaitForSingleObject(self._successor, 0) == _WAIT_TIMEOUT:
            return None
        code = DWORD()
        _kernel.GetExitCodeProcess(self._successor, ctypes.byref(code))
        return code.value

    def _running(self) -> int | None:
        """Return a handle of the first running process of the job."""
        ids = _ProcessIds()
        size = ctypes.sizeof(ids)
        _kernel.QueryInformationJobObject(self._handle, _PROCESS_IDS, ctypes.byref(ids), size, None)
        for pid in ids.ProcessIdList[: ids.NumberOfProcessIdsInList]:
            rights = _SYNCHRONIZE | _QUERY_LIMITED
            process = _kernel.OpenProcess(rights, False, pid)  # noqa: FBT003
            if process:
                if _kernel.WaitForSingleObject(process, 0) == _WAIT_TIMEOUT:
                    return int(process)
                _kernel.CloseHandle(process)
        return None

    def end(self) -> None:
        """End all processes of the job at once."""
        if self._handle is not None:
            _kernel.TerminateJobObject(self._handle, _EXIT_CODE)

    def close(self) -> None:
        """Close all handles, which ends the processes of the job."""
        handles = self._handle, self._successor
        self._handle = self._successor = None
        for handle in handles:
            if handle is not None:
                _kernel.CloseHandle(handle)

    def _refused(self) -> OSError:
        error = ctypes.WinError(ctypes.get_last_error())
        self.close()
        return error
