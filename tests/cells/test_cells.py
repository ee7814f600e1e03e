"""Run cells with a fake app: what a cell keeps, and how it ends when the app misbehaves."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import pytest
from helpers.cell_jobs import (
    CONTROLLED,
    DETECTION,
    LIMITS,
    TARGET,
    TRACING,
    fake_job,
    process_of,
    shown,
)
from helpers.processes import processes_with

from matrix.agent.observations import liveness, observations_of
from matrix.cells.job import CellJob
from matrix.cells.local import describe_survivor
from matrix.cells.run import run_cell
from matrix.judging.cells import findings_of
from matrix.model.capture import CellCapture
from matrix.model.probe import Probe
from matrix.model.reason import Reason

LIMITS_OF_THE_MUTE = dataclasses.replace(LIMITS, first_span=0.5)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def test_a_good_app_shows_the_feature_and_its_control_does_not(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "good"))
    assert shown(capture, "appsec") == [True]
    assert shown(capture, "off", control=True) == [False]
    for item in capture.processes:
        assert liveness(item, "9.9.9").alive
        assert item.exit_code is None
        assert item.boot_seconds is not None
    assert capture.identity is not None
    assert capture.identity.installed["flask"] == "1.0"
    assert not [item for item in (tmp_path / "scratch").iterdir() if item.is_dir()]


def test_an_untraced_app_gets_the_same_requests_and_no_wait_for_spans(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, first_span=60, span=60)
    capture = run_cell(fake_job(tmp_path, "good", probes=(CONTROLLED,), limits=limits))
    control = process_of(capture, "untraced")
    assert (control.traced, control.failed, control.exit_code) == (False, None, None)
    assert liveness(control, "9.9.9").alive
    assert [(item.control, item.status) for item in control.exchanges[1:]] == [(True, 200)]
    assert [item.root for item in observations_of(control)] == [None, None]
    assert capture.seconds < 20


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("good", None),
        ("deaf", Reason.SHOWS_WITHOUT_FEATURE),
        ("jammed-untraced", Reason.NO_CONTROL),
    ],
)
def test_an_untraced_control_is_judged_and_repeated_if_it_fails(
    tmp_path: Path, mode: str, reason: Reason | None
) -> None:
    job = fake_job(tmp_path, mode, probes=(CONTROLLED,), decisive=("controlled",))
    capture = run_cell(job)
    (finding,) = findings_of(capture, ("controlled",), {"controlled": CONTROLLED})
    assert finding.reason is reason
    repeats = [item.repeat for item in capture.processes if item.setting == "untraced"]
    assert repeats == ([0] if reason is None else [0, 1, 2])


def test_the_load_of_the_run_itself_makes_no_wait_longer() -> None:
    assert LIMITS.for_load(3.0) is LIMITS
    assert LIMITS.for_load(6.0).start == 2 * LIMITS.start
    assert LIMITS.for_load(6.0).free_bytes == LIMITS.free_bytes
    assert LIMITS.for_load(1e9) == LIMITS.for_load(1e6)


def test_a_cell_on_a_full_disk_has_no_results(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, free_bytes=2**60)
    capture = run_cell(fake_job(tmp_path, "good", limits=limits))
    assert capture.failed is Reason.DISK_FULL
    assert not capture.processes


def test_a_capture_round_trips_through_json(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "good", soak=True))
    assert CellCapture.from_json(json.loads(json.dumps(capture.to_json()))) == capture


def test_nothing_of_the_callers_environment_reaches_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    capture = run_cell(fake_job(tmp_path, "good"))
    variables = json.loads(process_of(capture, "off").exchanges[0].body)
    assert "AWS_SECRET_ACCESS_KEY" not in variables
    assert "PYTHONPATH" not in variables
    assert variables["DD_TRACE_API_VERSION"] == "v0.4"
    assert Path(variables["HOME"]).is_relative_to(tmp_path / "scratch")


def test_a_stimulus_without_evidence_is_sent_again(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "once-in-three"))
    assert shown(capture, "appsec") == [False, True]
    assert shown(capture, "off", control=True) == [False]


def test_only_a_decisive_probe_is_repeated_and_only_where_it_failed(tmp_path: Path) -> None:
    job = fake_job(tmp_path, "blind", decisive=("detection",))
    capture = run_cell(job)
    runs = sorted((item.setting, item.repeat) for item in capture.processes)
    assert runs == [("appsec", 0), ("appsec", 1), ("appsec", 2), ("off", 0)]


def with_more_channels() -> Probe:
    """Return a probe with channels that no claim is about: an undocumented one, and another one."""
    (static,) = DETECTION.channels
    other = dataclasses.replace(static, name="other", setting="iast", claimed=False)
    undocumented = dataclasses.replace(
        other, name="forced", setting="forced-telemetry", documented=False
    )
    return dataclasses.replace(DETECTION, channels=(static, undocumented, other))


@pytest.mark.parametrize(
    ("mode", "settings"),
    [("good", {"appsec", "off"}), ("blind", {"appsec", "off", "forced-telemetry"})],
)
def test_what_no_claim_is_about_runs_only_to_tell_why_another_channel_fails(
    tmp_path: Path, mode: str, settings: set[str]
) -> None:
    job = fake_job(tmp_path, mode, probes=(with_more_channels(),), decisive=("detection",))
    capture = run_cell(job)
    assert {item.setting for item in capture.processes} == settings
    forced = [item.repeat for item in capture.processes if item.setting == "forced-telemetry"]
    assert forced == ([0, 1, 2] if "forced-telemetry" in settings else [])


def repeated(folder: Path, mode: str, repeats: int, probes: tuple[Probe, ...]) -> CellJob:
    job = fake_job(folder, mode, probes=probes, decisive=(probes[0].name,))
    return dataclasses.replace(job, planned=dataclasses.replace(job.planned, repeats=repeats))


def test_a_decisive_probe_runs_as_often_as_planned_with_its_control(tmp_path: Path) -> None:
    capture = run_cell(repeated(tmp_path, "good", 4, (DETECTION, TRACING)))
    runs = [(item.setting, item.repeat) for item in capture.processes]
    for setting in ("appsec", "off"):
        assert sorted(repeat for name, repeat in runs if name == setting) == [0, 1, 2, 3]
    (finding,) = findings_of(capture, ("detection",), {"detection": DETECTION})
    assert finding.repeats == (("present", 4),)
    again = [item for item in capture.processes if item.repeat]
    assert {sent.probe for item in again for sent in item.exchanges} == {"", "detection"}


@pytest.mark.parametrize("repeats", [2, 5])
def test_a_failed_probe_is_repeated_even_if_the_plan_has_fewer_repeats(
    tmp_path: Path, repeats: int
) -> None:
    capture = run_cell(repeated(tmp_path, "blind", repeats, (DETECTION,)))
    (finding,) = findings_of(capture, ("detection",), {"detection": DETECTION})
    assert finding.repeats == (("absent", max(repeats, 3)),)


def test_a_probe_that_is_not_decisive_runs_once(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "blind", decisive=("tracing",)))
    assert {item.repeat for item in capture.processes} == {0}


@posix
def test_a_crash_is_reported_with_its_signal_and_repeated(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "crash", probes=(DETECTION,), decisive=("detection",)))
    crashed = [item for item in capture.processes if item.setting == "appsec"]
    assert [item.exit_code for item in crashed] == [-11, -11, -11]
    assert {item.failed for item in crashed} == {Reason.CRASHED}
    assert "signal 11" in crashed[0].detail
    assert crashed[0].exchanges[-1].status is None
    # It was alive before, and what it showed until then stands.
    assert liveness(crashed[0], "9.9.9").alive


@posix
def test_a_crash_in_the_soak_does_not_affect_the_probes(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "crash-in-soak", probes=(DETECTION,), soak=True))
    assert shown(capture, "appsec") == [True]
    probed = process_of(capture, "appsec")
    assert (probed.failed, probed.exit_code) == (None, None)
    soaked = process_of(capture, "appsec", "soak")
    assert soaked.failed is Reason.CRASHED
    assert soaked.exit_code == -11
    assert soaked.soak is not None
    assert not soaked.soak.alive
    assert soaked.soak.benign is None
    assert sum(soaked.soak.errors.values()) > 0


def test_a_soak_is_counted_and_its_spans_are_not_kept(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "good", soak=True))
    soaked = process_of(capture, "appsec", "soak")
    assert soaked.soak is not None
    assert (soaked.soak.sent, soaked.soak.statuses) == (30, {"200": 30})
    assert soaked.soak.alive
    assert soaked.agent == ()
    assert soaked.exchanges == ()
    assert process_of(capture, "appsec").soak is None
    assert process_of(capture, "appsec").agent != ()


def test_a_soak_that_does_not_start_says_why(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "mute", limits=LIMITS_OF_THE_MUTE, soak=True))
    soaked = process_of(capture, "appsec", "soak")
    assert soaked.soak is None
    assert soaked.failed is Reason.BROKEN_START
    assert not liveness(soaked, "9.9.9").alive


@pytest.mark.parametrize(
    ("mode", "reason", "words"),
    [
        ("exit", Reason.BROKEN_START, "exit code 3"),
        ("never-ready", Reason.TIMED_OUT, "did not get ready"),
        ("mute", Reason.BROKEN_START, "no span"),
        ("wrong-version", Reason.WRONG_INSTALL, "9.9.8, not 9.9.9"),
    ],
)
def test_what_does_not_start_well_has_a_typed_reason(
    tmp_path: Path, mode: str, reason: Reason, words: str
) -> None:
    limits = dataclasses.replace(LIMITS, start=1, first_span=0.5)
    if mode != "never-ready":
        limits = dataclasses.replace(limits, start=10)
    capture = run_cell(fake_job(tmp_path, mode, probes=(TRACING,), limits=limits))
    item = process_of(capture, "off")
    assert item.failed is reason
    assert words in item.detail
    assert not liveness(item, "9.9.9").alive


def test_a_first_request_that_is_reset_is_called_what_it_was(tmp_path: Path) -> None:
    job = fake_job(tmp_path, "reset", probes=(TRACING,))
    item = process_of(run_cell(job), "off")
    assert item.failed is Reason.BROKEN_START
    assert "the process lives on, and the thread of the request ended by LookupError: no rule" in (
        item.detail
    )


@posix
def test_a_process_that_dies_after_its_first_request_was_reset_has_crashed(tmp_path: Path) -> None:
    item = process_of(run_cell(fake_job(tmp_path, "late-death", probes=(TRACING,))), "off")
    assert item.failed is Reason.CRASHED
    assert "signal 11" in item.detail


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "the process lives on"),
        ("Exception in thread Thread-2:\nTraceback\n", "and thread Thread-2 ended"),
        (
            "Exception in thread worker-1 (run):\n  File x\nValueError: odd\nmore",
            "and thread worker-1 ended by ValueError: odd",
        ),
    ],
)
def test_what_ended_in_a_process_that_lives_on_is_read_from_its_log(log: str, words: str) -> None:
    assert describe_survivor(log).endswith(words)


def test_an_installation_that_is_not_the_pinned_one_is_not_run(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "good", installed="9.9.7"))
    assert capture.failed is Reason.WRONG_INSTALL
    assert capture.detail == "ddtrace 9.9.7, not 9.9.9"
    assert capture.processes == ()


def test_a_cell_on_another_target_is_not_run(tmp_path: Path) -> None:
    job = fake_job(tmp_path, "good")
    elsewhere = dataclasses.replace(job.planned.cell, target="linux_sparc64")
    capture = run_cell(
        dataclasses.replace(job, planned=dataclasses.replace(job.planned, cell=elsewhere))
    )
    assert capture.failed is Reason.WRONG_INSTALL
    assert capture.detail == f"{TARGET}, not linux_sparc64"


def test_time_limits_scale_and_sizes_stay() -> None:
    slow = LIMITS.times(7)
    assert (slow.start, slow.cell, slow.stop) == (70, LIMITS.cell * 7, LIMITS.stop * 7)
    assert (slow.agent_bytes, slow.free_bytes) == (LIMITS.agent_bytes, LIMITS.free_bytes)


def test_a_missing_interpreter_is_a_wrong_install(tmp_path: Path) -> None:
    job = dataclasses.replace(fake_job(tmp_path, "good"), python=tmp_path / "gone")
    capture = run_cell(job)
    assert capture.failed is Reason.WRONG_INSTALL
    assert "gone" in capture.detail


def test_a_late_identity_is_a_timeout(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, identity=0.001)
    capture = run_cell(fake_job(tmp_path, "good", limits=limits))
    assert (capture.failed, capture.processes) == (Reason.TIMED_OUT, ())
    assert "no answer within 0.001 s" in capture.detail


def test_an_app_that_hangs_and_ignores_sigterm_is_bounded(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, request=0.5, span=0.5)
    began = time.monotonic()
    capture = run_cell(fake_job(tmp_path, "hang", probes=(DETECTION,), limits=limits))
    assert time.monotonic() - began < 10
    assert {item.error for item in process_of(capture, "appsec").exchanges[1:]} == {
        "TimeoutError: timed out"
    }


def test_a_cell_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, cell=1.5)
    capture = run_cell(fake_job(tmp_path, "never-ready", probes=(TRACING,), limits=limits))
    assert process_of(capture, "off").failed is Reason.TIMED_OUT
    assert process_of(capture, "off").detail == "the cell's time was over"
    assert capture.seconds < 5


def test_head_and_tail_of_much_output_are_kept(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "chatty", probes=(TRACING,)))
    log = process_of(capture, "off").log
    assert log.startswith("bookshop ready")
    assert log.rstrip().endswith("the last line")
    assert len(log) < 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="strays are found by /proc")
def test_a_child_that_left_the_group_is_killed_too(tmp_path: Path) -> None:
    run_cell(fake_job(tmp_path, "stray", probes=(TRACING,)))
    assert not processes_with(str(tmp_path / "scratch"))
