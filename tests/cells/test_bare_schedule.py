"""The process without the tracer: when it is scheduled, and which requests it gets."""

from __future__ import annotations

import dataclasses

from helpers.run_fakes import PROBE, Says, process

from matrix.cells.env_vars import process_environment
from matrix.cells.job import app_of
from matrix.cells.schedule import (
    Task,
    bare_process,
    compared_tasks,
    failed_tasks,
    schedule,
    suspect_tasks,
    switched_off,
    tasks_of,
    without_switched_off,
)
from matrix.model.capture import BARE
from matrix.model.probe import Channel, Compared, Probe, Stimulus
from matrix.probes.registry import load_probes
from matrix.probes.settings import load_settings
from matrix.system.paths import apps_dir, fixtures_dir

VERSION = "1.9.0"
ATTACK = Stimulus("attack", Says("blocked"), "/{shop}/", plain=200)


def task(stimulus: Stimulus = ATTACK, *, control: bool = False) -> Task:
    return Task(PROBE, Channel("static", "appsec", (stimulus,), "off"), control)


def test_a_request_that_several_channels_have_is_sent_bare_once() -> None:
    tasks = tasks_of([load_probes()["integration-redis"]], "redis")
    (bare,) = bare_process(compared_tasks(tasks))
    names = [stimulus.name for each in bare.tasks for stimulus in each.channel.stimuli]
    assert sorted(names) == sorted(set(names))
    assert {"call", "fail"} <= set(names)
    assert bare.setting == BARE
    assert all(each.control and not each.channel.configs for each in bare.tasks)


def test_a_framework_with_an_app_and_a_row_runs_each_in_processes_of_its_own() -> None:
    probes = [load_probes()[name] for name in ("web-tracing", "integration-fastapi")]
    tasks = tasks_of(probes, "fastapi")
    processes = [*schedule(tasks), *bare_process(tasks)]
    kinds = [(each.setting, each.library) for each in processes]
    assert len(set(kinds)) == len(kinds)
    assert {(BARE, False), (BARE, True), ("off", False), ("off", True)} <= set(kinds)
    for each in processes:
        assert {task.probe == "integration-fastapi" for task in each.tasks} == {each.library}
    assert app_of("fastapi", apps_dir()) == "fastapi"
    assert app_of("fastapi", apps_dir(), library=True) == "library:fastapi"


def test_tracing_is_switched_off_only_where_the_tracer_may_be_at_fault() -> None:
    tasks = tasks_of([load_probes()["web-tracing"]], "flask")
    first = without_switched_off(tasks)
    assert [each for each in tasks if each not in first] == [
        each for each in tasks if each.channel.control == "untraced" and each.control
    ]
    (suspect, *_) = first
    assert switched_off([suspect]) == (dataclasses.replace(suspect, control=True),)


def test_the_control_of_a_feature_always_runs() -> None:
    tasks = (task(dataclasses.replace(ATTACK, compared=Compared.ANSWER), control=True),)
    assert without_switched_off(tasks) == tasks
    assert switched_off(tasks) == ()


def test_the_switch_of_tracing_is_the_control_where_answers_are_not_compared() -> None:
    uncompared = Task(PROBE, Channel("static", "off", (ATTACK,), "untraced"), control=True)
    assert without_switched_off([uncompared]) == (uncompared,)
    assert switched_off([dataclasses.replace(uncompared, control=False)]) == ()


def test_nothing_runs_bare_that_is_not_compared() -> None:
    assert bare_process(compared_tasks([task()])) == ()


def test_every_library_and_web_framework_is_compared() -> None:
    for probe in load_probes().values():
        channels = [channel for channel in probe.channels if channel.control == "untraced"]
        if probe.name.startswith("integration-") or probe.name == "web-tracing":
            assert compared_tasks(
                tasks_of(
                    [dataclasses.replace(probe, channels=tuple(channels))],
                    (probe.frameworks or ("flask",))[0],
                )
            )


def test_a_process_that_fails_makes_its_tasks_suspect() -> None:
    dead = process("appsec", "", VERSION, exchanges=(), agent=(), boot_seconds=None)
    assert suspect_tasks([task()], [dead], VERSION) == (task(),)
    fine = process("appsec", "welcome", VERSION)
    assert suspect_tasks([task()], [fine], VERSION) == ()
    error = dataclasses.replace(fine.exchanges[1], status=500)
    broken = dataclasses.replace(fine, exchanges=(fine.exchanges[0], error))
    assert suspect_tasks([task()], [broken], VERSION) == (task(),)


def test_an_answer_that_is_not_that_of_the_bare_app_fails_its_task() -> None:
    compared = task(dataclasses.replace(ATTACK, compared=Compared.ANSWER))
    on = process("appsec", "blocked", VERSION)
    bare = process(BARE, "blocked too", VERSION, traced=False, agent=())
    assert failed_tasks([compared], [on], VERSION) == ()
    assert failed_tasks([compared], [on, bare], VERSION) == (compared,)
    same = process(BARE, "blocked", VERSION, traced=False, agent=())
    assert failed_tasks([compared], [on, same], VERSION) == ()


def test_no_variable_of_the_tracer_is_set_without_it() -> None:
    rendered = load_settings().render(BARE, data=fixtures_dir())
    variables = process_environment(fixtures_dir(), setting=rendered, agent={}, upstream_port=1)
    assert variables["BOOKSHOP_BARE"] == "1"
    assert not [name for name in variables if name.lstrip("_").startswith("DD_")]


def test_a_probe_of_two_channels_is_one_process() -> None:
    two = Probe(
        PROBE,
        "two",
        tuple(
            dataclasses.replace(
                task(dataclasses.replace(ATTACK, compared=Compared.STATUS)).channel, name=name
            )
            for name in ("one", "other")
        ),
    )
    assert len(bare_process(compared_tasks(tasks_of([two], "django")))) == 1
