"""The page as its reader has it: in a real browser, by mouse and keyboard, on screen and paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import Browser, browser
from helpers.record_fixture import CONFIRMED, NASTY, generated_record, record_of
from helpers.run_fakes import capture, claim

from matrix.reporting.diff import compare_records
from matrix.reporting.html import render_page
from matrix.reporting.html_evidence import digest_capture
from matrix.runs.record import CellRecord

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOUD = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
SHOWN = "document.querySelectorAll('#heat tbody tr[id]:not([hidden])').length"


def digests(line: CellRecord) -> dict[str, Any]:
    return digest_capture(capture(line.id, body=NASTY))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = generated_record(120)
    odd = dataclasses.replace(made.claims[0], subject=NASTY)
    made = dataclasses.replace(made, claims=(odd, *made.claims[1:]))
    path = tmp_path_factory.mktemp("page") / "report.html"
    text = render_page(made, digests, compare_records(record_of((claim(1), CONFIRMED)), made))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def tab(running: Browser, written: Path) -> Iterator[Browser]:
    """The page, freshly opened; whatever is done with it, it complains of nothing and asks none."""
    running.events.clear()
    running.size(1280, 900)
    running.scheme("light")
    running.open(written)
    yield running
    running.ask("1")
    assert [each for each in running.events if each["method"] in LOUD] == []
    requests = [
        each["params"]["request"]["url"]
        for each in running.events
        if each["method"] == "Network.requestWillBeSent"
    ]
    assert {url.partition("#")[0] for url in requests} == {written.as_uri()}


def fill(tab: Browser, name: str, value: str) -> None:
    field = f"document.querySelector('[name={name}]')"
    tab.ask(f"{field}.value = {value!r}; {field}.dispatchEvent(new Event('input', {{bubbles: 1}}))")


def test_filters_show_what_was_asked_for_and_say_how_much(tab: Browser) -> None:
    assert tab.ask(SHOWN) == 12
    tab.ask("document.querySelector('[name=group][value=refuted]').click()")
    assert tab.ask(SHOWN) == 8
    assert tab.ask("document.querySelector('#count').textContent") == "8 of 12 rows shown"
    tab.ask("document.querySelector('[type=reset]').click()")
    tab.until(f"{SHOWN} == 12")
    fill(tab, "text", "number 7")
    assert tab.ask(SHOWN) == 1
    fill(tab, "text", "")
    fill(tab, "reason", "crashed")
    assert tab.ask(SHOWN) == 4
    fill(tab, "reason", "")
    fill(tab, "target", "1")
    squares = "[...document.querySelectorAll('td button')].filter((each) => each.offsetParent)"
    assert tab.ask(f"{squares}.length") > 0
    assert tab.ask(f"{squares}.every((each) => each.classList.contains('t1'))")


def test_the_counts_above_lead_to_what_they_count(tab: Browser) -> None:
    tab.ask("document.querySelector('.tile.refuted').click()")
    assert tab.ask(SHOWN) == 4
    assert tab.ask("location.hash") == "#map"


def test_every_link_leads_somewhere(tab: Browser) -> None:
    links = "[...document.querySelectorAll('a[href]')]"
    assert tab.ask(f"{links}.length") > 5
    assert tab.ask(f"{links}.every((a) => document.querySelector(a.getAttribute('href')))")


def test_a_refuted_promise_leads_to_its_evidence(tab: Browser) -> None:
    tab.ask("document.querySelector('.refutations h3 a').click()")
    tab.until("!!document.querySelector('#sheet[open] #sheet-title')")
    text = tab.ask("document.querySelector('#told').innerText")
    for words in ("python -m matrix reproduce cp3", "GET /s…", "HTTP 200", "django.request"):
        assert words in text
    assert "a.md, line" in text
    assert NASTY[:40] in text, "what an answer said is shown as it was said"


def test_the_keyboard_is_enough(tab: Browser) -> None:
    assert tab.ask("document.querySelectorAll('#heat button[tabindex=\"0\"]').length") == 1
    tab.ask("document.querySelector('#heat button[tabindex=\"0\"]').focus()")
    tab.press("ArrowDown", 40)
    assert tab.ask("document.activeElement.closest('tr').rowIndex") == 3
    tab.press("ArrowRight", 39)
    assert tab.ask("document.activeElement.closest('td') !== null")
    at = tab.ask("document.activeElement.getAttribute('aria-label')")
    outline = tab.ask("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "focus is seen"
    tab.press("Enter", 13)
    tab.until("!!document.querySelector('#sheet[open] #sheet-title')")
    text = tab.ask("document.querySelector('#told .part').innerText")
    assert f"on {at.rpartition(', ')[2]}" in text
    tab.press("Escape", 27)
    tab.until("!document.querySelector('#sheet').open")
    tab.until(f"document.activeElement.getAttribute('aria-label') == {at!r}")


def test_each_square_and_field_has_a_name_and_each_row_a_heading(tab: Browser) -> None:
    tab.send("Accessibility.enable")
    nodes = tab.send("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "textbox", "searchbox", "combobox", "checkbox", "table", "rowheader"}
    roles = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in named
    ]
    assert {role for role, _ in roles} >= {"button", "rowheader", "checkbox"}
    assert [role for role, name in roles if not name.strip()] == []


def test_on_a_phone_only_the_map_scrolls_sideways(tab: Browser, tmp_path: Path) -> None:
    tab.size(360, 740, phone=True)
    assert tab.ask("document.documentElement.scrollWidth <= innerWidth")
    box = "document.querySelector('#map .box')"
    assert tab.ask(f"{box}.scrollWidth > {box}.clientWidth")
    tab.picture(tmp_path / "phone.png")


def test_light_dark_and_paper(tab: Browser, tmp_path: Path) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    light = tab.ask(back)
    tab.picture(tmp_path / "light.png")
    tab.scheme("dark")
    assert tab.ask(back) != light
    tab.picture(tmp_path / "dark.png")
    assert tab.paper(tmp_path / "page.pdf").startswith(b"%PDF")
    tab.send("Emulation.setEmulatedMedia", {"media": "print"})
    tab.ask("dispatchEvent(new Event('beforeprint'))")
    proof = "document.querySelector('.proof pre').checkVisibility()"
    assert tab.ask(proof), "what refutes is printed"
    tab.send("Emulation.setEmulatedMedia", {"media": ""})
