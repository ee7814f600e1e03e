"""The probes are declared well: names, paths, settings, controls, and evidence that can fail."""

from __future__ import annotations

import pickle

import pytest
from helpers.observation_builders import observed, span

from matrix.cells.job import app_of
from matrix.cells.schedule import ProcessTasks, schedule, schedule_repeat, tasks_of
from matrix.errors import UsageError
from matrix.model.capture import BARE
from matrix.model.probe import NO_EVIDENCE, AllOf, Channel, Compared, Probe, Stimulus
from matrix.planning.coverage import load_coverage
from matrix.probes.evidence.security import Triggered
from matrix.probes.integrations import is_library_probe
from matrix.probes.registry import load_probes
from matrix.probes.settings import load_settings
from matrix.system.paths import apps_dir, fixtures_dir

PROBES = load_probes()
CHANNELS = [(probe, channel) for probe in PROBES.values() for channel in probe.channels]
STIMULI = [(probe, chan, stimulus) for probe, chan in CHANNELS for stimulus in chan.stimuli]


def ids(value: object) -> str:
    return getattr(value, "name", "")


def test_there_is_a_probe_for_each_capability() -> None:
    assert set(PROBES) >= {
        "web-tracing",
        "threat-detection",
        "threat-protection",
        "custom-blocked-response",
        "sca",
        "iast",
        "user-events",
        "api-security",
        "db-api",
        "flask-query-string",
        "exploit-prevention",
    }


@pytest.mark.parametrize("probe", PROBES.values(), ids=ids)
def test_a_probe_can_be_sent_to_a_worker(probe: Probe) -> None:
    assert pickle.loads(pickle.dumps(probe)) == probe  # noqa: S301
    assert all(app_of(framework, apps_dir()) for framework in probe.frameworks)
    names = [channel.name for channel in probe.channels]
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize(("probe", "channel"), CHANNELS, ids=ids)
def test_a_channel_names_settings_that_exist_and_decides_something(
    probe: Probe, channel: Channel
) -> None:
    settings = load_settings()
    settings.get(channel.setting)
    # Whatever is confirmed has been seen not to show without the feature, tracing included.
    assert channel.control is not None
    settings.get(channel.control)
    # A control is a difference: another setting, or the same before the configuration.
    assert channel.control != channel.setting or channel.configs
    assert any(stimulus.decisive for stimulus in channel.stimuli)
    names = [stimulus.name for stimulus in channel.stimuli]
    assert len(set(names)) == len(names)
    for config in channel.configs:
        assert config.undo, "removing a file alone does not undo it in every release"


@pytest.mark.parametrize(("probe", "channel", "stimulus"), STIMULI, ids=ids)
def test_a_stimulus_can_be_told_from_all_others(
    probe: Probe, channel: Channel, stimulus: Stimulus
) -> None:
    assert stimulus.path.startswith("/{shop}/")
    assert stimulus.follow_up == "" or stimulus.follow_up.startswith("/{shop}/")
    assert stimulus.attempts >= 1
    stimulus.path.encode("ascii")
    if stimulus.body:
        assert "Content-Type" in dict(stimulus.headers)


@pytest.mark.parametrize(("probe", "channel", "stimulus"), STIMULI, ids=ids)
def test_a_plain_answer_of_an_untraced_app_is_no_evidence(
    probe: Probe, channel: Channel, stimulus: Stimulus
) -> None:
    if stimulus.evidence == NO_EVIDENCE:
        assert not stimulus.decisive
        assert stimulus.compared is not Compared.NOTHING
        return
    assert not stimulus.evidence.match(observed()).holds
    assert not stimulus.evidence.match(observed(status=403)).holds
    assert not stimulus.evidence.match(observed(span())).holds


# What is off by default where a page promises nothing yet, or what no documentation names.
FORCED = {"DD_INSTRUMENTATION_TELEMETRY_ENABLED", "DD_EXPERIMENTAL_API_SECURITY_ENABLED"}


def test_no_channel_that_is_documented_is_asked_with_other_switches() -> None:
    settings = load_settings()
    forced = {
        setting.name
        for setting in settings.by_name.values()
        if any(value != "false" for name, value in setting.environment.items() if name in FORCED)
    }
    assert not FORCED & settings.base.keys()
    assert forced == {item.setting for _, item in CHANNELS if not item.documented}
    assert not forced & {item.setting for _, item in CHANNELS if item.documented}
    assert settings.get("appsec").environment == {"DD_APPSEC_ENABLED": "true"}


def test_the_channels_that_are_claimed_are_those_that_a_claim_can_be_about() -> None:
    rules = [each for rule in load_coverage().rules.values() for each in (rule, *rule.others)]
    claimed = {(rule.probe, name) for rule in rules for name in rule.channels}
    claimed |= {(rule.probe, name) for rule in rules for _, name in rule.named}
    claimed |= {(rule.probe, shown) for rule in rules for _, shown in rule.denied}
    assert {
        (name, channel.name)
        for name, probe in PROBES.items()
        for channel in probe.channels
        if channel.claimed and not is_library_probe(name)
    } == {(name, channel) for name, channel in claimed if not is_library_probe(name)}


def test_every_process_that_has_a_control_is_scheduled_once_per_setting() -> None:
    tasks = tasks_of(PROBES.values(), "django")
    processes = schedule(tasks)
    assert sorted(item.setting for item in processes) == sorted(
        {
            name
            for probe, channel in CHANNELS
            if probe.runs_in("django")
            for name in (channel.setting, channel.control or "")
        }
    )
    assert sum(len(item.tasks) for item in processes) == len(tasks)
    off = next(item for item in processes if item.setting == "off")
    assert {task.channel.name for task in off.configured} == {"remote-config"}
    assert all(task.control or not task.channel.configs for task in off.plain)


def test_a_probe_of_another_framework_is_passed_over() -> None:
    assert tasks_of([PROBES["user-events"]], "flask") == ()


def test_after_a_crash_each_channel_is_repeated_apart_from_the_others() -> None:
    tasks = [task for task in tasks_of(PROBES.values(), "flask") if not task.control]
    together = schedule_repeat(tasks, 1, apart=False)
    apart = schedule_repeat(tasks, 2, apart=True)
    assert len(together) < len(apart) == len(tasks)
    assert {item.repeat for item in together} == {1}
    assert apart[0] == ProcessTasks(tasks[0].channel.setting, (tasks[0],), repeat=2)


def test_each_kind_of_exploit_is_reported_by_the_rules_and_blocked_by_a_policy_for_its_rule() -> (
    None
):
    channels = {channel.name: channel for channel in PROBES["exploit-prevention"].channels}
    blocked = {name for name in channels if name.endswith("-blocked")}
    assert {f"{name}-blocked" for name in channels.keys() - blocked} == blocked
    for name in blocked:
        own, report = channels[name], channels[name.removesuffix("-blocked")]
        # The same request in the same process: only the policy makes the difference.
        assert own.control == own.setting == report.setting
        assert own.stimuli[0].path == report.stimuli[0].path
        (policy,) = own.configs[0].content["rules_override"]
        blocking, reporting = own.stimuli[0].evidence, report.stimuli[0].evidence
        assert isinstance(blocking, AllOf)
        assert isinstance(reporting, AllOf)
        (trigger,) = (part for part in blocking.parts if isinstance(part, Triggered))
        assert policy["rules_target"] == [{"rule_id": trigger.rule}]
        assert reporting.parts == (trigger,)


def test_the_mode_that_disables_login_events_is_the_control_of_the_other_modes() -> None:
    modes = PROBES["login-modes"].channels
    assert {item.name for item in modes} == {"identification", "anonymization", "extended"}
    off = load_settings().get("login-disabled").environment
    for item in modes:
        own = load_settings().get(item.setting).environment
        assert item.control == "login-disabled"
        # They differ in the mode only; the control disables what both variables enable.
        assert own.keys() <= off.keys()
        assert {name for name in own if own[name] != off[name]} == own.keys() - {
            "DD_APPSEC_ENABLED"
        }


def test_default_sampling_differs_from_sampling_all_in_the_rates_only() -> None:
    full = load_settings().get("api-security").environment
    default = load_settings().get("api-security-sampled").environment
    assert default.items() < full.items()
    assert full.keys() - default.keys() == {
        "DD_API_SECURITY_REQUEST_SAMPLE_RATE",
        "DD_API_SECURITY_SAMPLE_DELAY",
    }
    # No other channel uses up the sample of its route.
    users = [item.name for _, item in CHANNELS if item.setting == "api-security-sampled"]
    assert users == ["default-sampling"]


def test_settings_render_the_folder_of_the_fixtures() -> None:
    rendered = load_settings().render("custom-rules", data=fixtures_dir() / "cell")
    assert rendered["DD_APPSEC_RULES"] == str(fixtures_dir() / "cell" / "rules.json")
    assert rendered["DD_TRACE_API_VERSION"] == "v0.4"
    for name in load_settings().by_name:
        values = load_settings().render(name, data=fixtures_dir() / "cell")
        assert not [value for value in values.values() if "{" in value]


def test_the_control_of_tracing_differs_from_tracing_alone_in_one_switch() -> None:
    on, off = (load_settings().get(name) for name in ("off", "untraced"))
    assert {**on.environment, "DD_TRACE_ENABLED": "false"} == off.environment
    untraced = {name for name, item in load_settings().by_name.items() if not item.traced}
    assert untraced == {off.name, BARE}


def test_the_app_answers_what_a_tracing_control_must_be_answered_with() -> None:
    controls = [channel for _, channel in CHANNELS if channel.control == "untraced"]
    assert controls
    assert all(stimulus.plain for channel in controls for stimulus in channel.stimuli)


def test_a_setting_that_is_not_there_suggests_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        load_settings().get("custom-rule")
    assert "did you mean 'custom-rules'" in caught.value.message
