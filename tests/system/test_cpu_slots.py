"""Slots for work that takes a whole CPU: how many hold one, and what does not keep them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from matrix.system.cpu_slots import CpuSlots
from matrix.system.paths import project_root

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from matrix.system.cpu_slots import CpuSlots
with CpuSlots(Path(sys.argv[2]), 1).hold(0):
    print("held", flush=True)
    time.sleep(60)
"""


def test_no_more_than_the_count_hold_a_slot_at_a_time(tmp_path: Path) -> None:
    slots, lock, held, most = CpuSlots(tmp_path / "slots", 2), threading.Lock(), 0, 0

    def work() -> None:
        nonlocal held, most
        with slots.hold(30):
            with lock:
                held += 1
                most = max(most, held)
            time.sleep(0.02)
            with lock:
                held -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (held, most) == (0, 2)


def test_who_has_waited_long_enough_goes_without_one(tmp_path: Path) -> None:
    slots = CpuSlots(tmp_path, 1)
    with slots.hold(), slots.hold(0.1) as waited:
        assert 0 < waited < 10
    with slots.hold() as waited:
        assert waited < 10


def test_a_folder_that_cannot_be_made_keeps_nobody_from_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with CpuSlots(tmp_path / "file" / "slots", 1).hold() as waited:
        assert waited < 10


def test_the_slot_of_a_killed_process_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(project_root()), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        slots = CpuSlots(tmp_path, 1)
        with slots.hold(0.2) as waited:
            assert waited >= 0.1
        process.kill()
        process.wait()
        with slots.hold(60) as waited:
            assert waited < 30
