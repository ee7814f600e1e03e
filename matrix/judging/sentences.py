"""Facts to sentences: the only place that makes text of facts, for every report.

`evidence_text` is the whole of it, as files have it. `evidence_sentences` are the same for people,
shorter: repeats that agree, counts of attempts and what an earlier sentence named are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind

_LONGEST = 300
_CLAUSES = 3
# The host, port and data of one process of the app, which are others in the next run.
_OWN_URL = re.compile(r"http://127\.0\.0\.1:\d+(/s[0-9a-f]{15})?")

Render: TypeAlias = Callable[[Fact], str]


def evidence_text(facts: Iterable[Fact]) -> str:
    """Return all facts as text, each a sentence."""
    return " ".join(filter(None, map(_sentence, facts)))


def remark_text(remark: Fact) -> str:
    """Return a fact that stands beside an answer as text, without a full stop of its own."""
    if remark.kind is FactKind.CHOICE:
        return remark.text("text")
    return _sentence(remark)


def evidence_sentences(
    facts: Sequence[Fact], own: Cell | None = None
) -> Iterator[tuple[FactKind, str]]:
    """Yield short sentences for people, each once, with the kind of the fact that it begins.

    `own` is the cell that the reader is told of beforehand: its release is not named again.
    """
    labels: set[str] = set()
    earlier: set[str] = set()
    for kind, sentence in _short_sentences(facts, own, labels):
        if sentence not in earlier:
            earlier.add(sentence)
            yield kind, sentence


def short_evidence_text(facts: Sequence[Fact]) -> str:
    """Return the short sentences for people as one text."""
    return " ".join(sentence for _, sentence in evidence_sentences(facts))


def breakage_line(facts: Iterable[Fact]) -> tuple[Cell, str] | None:
    """Return the first cell in which the tracer breaks the app, with all that a reader needs.

    None where no fact says so. The line is without a full stop of its own.
    """
    for cell, item in _breakages(facts, None):
        named = f"{_release(cell, 'both')} on CPython {cell.python}"
        return cell, f"{named}: works without ddtrace, {_WAYS_WITH_IT[item.text('way')]}"
    return None


def _breakages(facts: Iterable[Fact], cell: Cell | None) -> Iterator[tuple[Cell, Fact]]:
    for item in facts:
        own = item.cell or cell
        if item.kind is FactKind.BREAKS_APP and own is not None:
            yield own, item
        yield from _breakages(item.facts, own)


def one_line(text: str) -> str:
    """Return a text on one line, only its end where it is too long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"... {flat[-_LONGEST:]}"


def as_sentence(text: str) -> str:
    """Return a text of somebody else as one sentence."""
    flat = one_line(text) or "nothing was said"
    return f"{_capital(flat)}{'' if flat[-1] in '.!?' else '.'}"


def _sentence(item: Fact) -> str:
    return _RENDER[item.kind](item)


def _short_sentences(
    facts: Iterable[Fact], own: Cell | None, labels: set[str]
) -> Iterator[tuple[FactKind, str]]:
    for item in facts:
        if item.kind is FactKind.REPEATS_AGREE:
            continue
        if item.kind in {FactKind.SHOWED, FactKind.LACKED}:
            yield item.kind, _short_stimuli(item, labels)
        elif prefix := _PREFIXES.get(item.kind):
            lead = prefix(item)
            if item.kind is FactKind.RELEASE and item.cell == own:
                lead = ""
            inner = list(_short_sentences(item.facts, own, labels))
            for number, (kind, sentence) in enumerate(inner):
                if number == 0:
                    yield item.kind, f"{lead}{sentence}"
                else:
                    yield kind, sentence
        else:
            yield item.kind, _OWN_URL.sub("", _sentence(item))


def _short_stimuli(item: Fact, labels: set[str]) -> str:
    """Return what stimuli showed or lacked, at most three clauses, a known first label left out."""
    clauses: list[str] = []
    for number, stimulus in enumerate(item.facts):
        name = stimulus.text("stimulus")
        texts = [_OWN_URL.sub("", each.text("text")) for each in stimulus.facts]
        if not (number == 0 and _capital(name) in labels):
            texts[:1] = [f"{name}: {text}" for text in texts[:1]]
            if number == 0:
                labels.add(_capital(name))
                texts[:1] = map(_capital, texts[:1])
        clauses += texts
    clauses = list(dict.fromkeys(clauses))
    if len(clauses) > _CLAUSES:
        return f"{'; '.join(clauses[:_CLAUSES])}; …"
    return f"{'; '.join(clauses)}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _inner(item: Fact) -> str:
    return evidence_text(item.facts)


def _release(cell: Cell | None, by: str) -> str:
    """Return a release by what it differs in: `ddtrace 1.9.0`, `redis 2.6.0`, or both."""
    assert cell is not None  # noqa: S101 - facts on releases have a cell
    library = f"{cell.framework} {cell.framework_version}"
    return {
        "tracer": f"ddtrace {cell.ddtrace}",
        "library": library,
        "both": f"{library} with ddtrace {cell.ddtrace}",
    }[by]


def _named(item: Fact) -> str:
    return _release(item.cell, item.text("by"))


def _id(item: Fact) -> str:
    return item.cell.id if item.cell else ""


def _stimulus(item: Fact) -> str:
    texts = "; ".join(each.text("text") for each in item.facts)
    tried = item.number("tried")
    return f"{item.text('stimulus')}: {texts}{f', {tried} tried' if tried else ''}"


def _stimuli(item: Fact) -> str:
    return f"{_capital('; '.join(map(_stimulus, item.facts)))}."


def _died(item: Fact) -> str:
    if not item.text("code"):
        return as_sentence(item.text("detail") or "the process died")
    code = item.number("code")
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"The process ended by itself with {how}."


def _no_answer(item: Fact) -> str:
    error = item.text("error")
    return f"No answer to {item.text('stimulus')!r}{f': {one_line(error)}' if error else '.'}"


def _not_started(item: Fact) -> str:
    words = item.text("last_words")
    tail = f" Its last words: {as_sentence(words)}" if words else ""
    return as_sentence(item.text("detail")) + tail


def _soak_crashed(item: Fact) -> str:
    sent = item.text("sent")
    after = f" after up to {sent} requests" if sent else ""
    return f"it crashed in the soak ({item.text('setting')}){after}: {_inner(item)}"


def _app_untested(item: Fact) -> str:
    return (
        f"{item.text('stimulus')!r} was answered {item.text('answers')},"
        f" not {item.text('expected')}. Nobody knows whether the app works by itself: with the"
        f" feature off ({item.text('control')}) it was not asked."
    )


def _answered(item: Fact) -> str:
    expected = item.text("expected")
    tail = f", not {expected}" if expected else ""
    return f"{item.text('stimulus')!r} is answered {item.text('answer')}{tail}"


_WAYS = {
    "does-not-start": "The app does not start under the tracer",
    "crashes": "The app crashes under the tracer",
    "answers-otherwise": "The app answers otherwise under the tracer",
    "starts-untraced": "The app answers, and is not traced any more once the feature is on",
}
_WAYS_WITH_IT = {
    "does-not-start": "does not start with it",
    "crashes": "crashes with it",
    "answers-otherwise": "answers otherwise with it",
    "starts-untraced": "is not traced with it once the feature is on",
}
_TRACING_OFF = {"fails": " It fails with tracing off too.", "works": " With tracing off it works."}


def _breaks_app(item: Fact) -> str:
    count = item.text("count")
    inner = "; ".join(map(_sentence, item.facts))
    tail = _TRACING_OFF.get(item.text("tracing_off"), "")
    return f"{_WAYS[item.text('way')]} ({count} of {count}): {as_sentence(inner)}{tail}"


def _crashes(item: Fact) -> str:
    what, _, where = item.text("subject").partition("/")
    doing = {"start": f"at the start ({where})", "soak": f"in the soak ({where})"}.get(
        what, f"at the requests of {what}, {where}"
    )
    died = f"{item.text('died')} of {item.text('count')} processes"
    counts = [died, *map(_sentence, item.facts)]
    if item.number("off_count"):
        off = f"{item.text('off_died')} of {item.text('off_count')} with it off"
        counts.insert(1, off)
    return f"A signal kills processes {doing}: {'; '.join(counts)}."


def _crashes_there(item: Fact) -> str:
    assert item.cell is not None  # noqa: S101 - facts on releases have a cell
    name = item.cell.ddtrace if item.text("by") == "tracer" else _named(item)
    return f"{item.text('died')} of {item.text('count')} under {name}"


def _beyond(item: Fact) -> str:
    return {"present": "shows it too", "absent": "does not show it"}.get(
        item.text("shows"), f"cannot tell ({item.text('reason') or 'unknown'})"
    )


def _because(item: Fact) -> str:
    reason = item.text("reason")
    return f"{reason}, {_inner(item)}" if reason else _inner(item)


def _no_control(item: Fact) -> str:
    compared = "; ".join(f"{_named(each)}: {_because(each)}" for each in item.facts)
    found = compared or "none was there to compare with"
    return f"No release compared with shows it either ({found})."


def _control_works(item: Fact) -> str:
    release = _named(item.facts[0])
    return (
        f"{_named(item)} works in the same environment: {release} is not usable there, which says"
        " nothing of the capability."
    )


def _denied(item: Fact) -> str:
    denied = "without being asked for" if item.text("channel") else "which the page denies"
    return f"It shows, {denied}: "


def _shows(item: Fact) -> str:
    return "shows it" if item.text("shows") == "present" else "does not show it"


def _python(item: Fact) -> str:
    return item.cell.python if item.cell else ""


def _target(item: Fact) -> str:
    return item.cell.target if item.cell else ""


def _lowest(item: Fact) -> str:
    gap = "".join(map(_gap, item.facts))
    how = "seen to install" if gap else "that installs"
    name = _release(item.cell, "library")
    return f"The lowest {how} on CPython {_python(item)} is {name}, which {_shows(item)}{gap}."


def _gap(item: Fact) -> str:
    between = "between them was not tried"
    if item.number("tried"):
        between = "of what lies between nothing is known"
    return f" ({_release(item.cell, 'library')} does not; {between})"


def _holds_in(item: Fact) -> str:
    lowest, highest = item.text("lowest"), item.text("highest")
    releases = f"from ddtrace {lowest} to {highest}"
    if lowest == highest:
        releases = f"in ddtrace {lowest}"
    again = ", ".join(item.texts("again"))
    return (
        f"With {_release(item.cell, 'library')} it was seen to hold {releases}"
        f"{f', again in {again}' if again else ''}; the lowest seen to fail above is"
        f" {item.text('fails')}."
    )


def _search_end(item: Fact) -> str:
    assert item.cell is not None  # noqa: S101 - facts on releases have a cell
    cell = item.cell
    as_of = f" --as-of {cell.as_of}" if cell.as_of else ""
    return (
        f"the exact end with {_release(cell, 'library')}:"
        f" python -m matrix minimum {item.text('subject')} --channel {item.text('channel')}"
        f" --framework {cell.framework}=={cell.framework_version} --python {cell.python}"
        f" --target {cell.target} --since {item.text('lowest')} --until {item.text('fails')}"
        f"{as_of} --upper"
    )


def _newest_lacks(item: Fact) -> str:
    return (
        f"holds at the minimum ({item.text('minimum')}) and not in the newest release compared"
        f" ({_id(item)}): {_because(item)}"
    )


def _parts_fail(item: Fact) -> str:
    part, *others = item.facts
    also = ", ".join(
        f"{each.text('probe')}/{each.text('channel')} in {_id(each)}" for each in others
    )
    tail = f" Also: {also}." if also else ""
    return f"{item.text('failing')} of {item.text('count')} parts fail: {_sentence(part)}{tail}"


def _parts_open(item: Fact) -> str:
    count = item.number("count")
    head = f"{item.text('open')} of {count} parts are open: " if count > 1 else ""
    return f"{head}[{item.text('probe')}, {item.text('channel')}] {_inner(item)}"


def _not_tested(item: Fact) -> str:
    holding = item.number("holding")
    head = "Not tested: "
    if holding:
        head = f"{holding} of {item.text('count')} parts hold, and not tested: "
    more = f" and {item.text('more')} more" if item.number("more") else ""
    details = "; ".join(item.texts("details"))
    subjects = ", ".join(item.texts("subjects"))
    return f"{head}{subjects}{more}{f' ({details})' if details else ''}"


_NOWHERE = {
    "install": "can be installed on no CPython that was tried",
    "import": "can be installed and imported on no CPython that was tried",
    "start": "was seen to work on no CPython that was tried",
}


def _usable_nowhere(item: Fact) -> str:
    name = _release(item.cell, "library")
    pythons = ", ".join(item.texts("pythons"))
    text = f"{name} {_NOWHERE[item.text('fails') or 'start']} ({pythons})"
    return f"{text}: {_inner(item)}" if item.facts else text


def _not_built(item: Fact) -> str:
    cause = _inner(item)
    return f"{item.text('requirement')} does not build: {as_sentence(cause)}"


def _not_imported(item: Fact) -> str:
    text = (
        f"{item.text('module')} does not import: {as_sentence(_inner(item) or item.text('error'))}"
    )
    if companion := item.text("companion"):
        text += (
            f" {companion}, as installed with it, does not have that: it needs companions of"
            " another time, or another CPython."
        )
    return text


_SYSTEM_FILES = {
    "shared": "the system has no {name}",
    "header": "the system has no header {name}",
    "tool": "the system has no program {name}",
    "link": "the system has no library {name} to link with",
    "pkgconfig": "pkg-config knows no {name}",
}


def _system_file(item: Fact) -> str:
    text = _SYSTEM_FILES[item.text("of")].format(name=item.text("name"))
    if packages := item.texts("packages"):
        return f"{text}, which Debian has in {' and '.join(packages)}."
    return f"{text}; the package that has it is not known here."


def _ruled_out(item: Fact) -> str:
    name = _release(item.cell, "library")
    return f"{name} is left out on CPython {_python(item)}: {_inner(item)}"


# What comes before the sentences of the facts within a fact.
_PREFIXES: Mapping[FactKind, Render] = {
    FactKind.RELEASE: lambda item: f"{_named(item)}: ",
    FactKind.CONTROL_SHOWS: lambda item: f"{_named(item)} in the same environment: ",
    FactKind.EARLIER_SHOWS: lambda item: (
        f"A regression: {_named(item)}, an earlier release, shows it there: "
    ),
    FactKind.SHOWS_BESIDE: lambda item: f"The same release on {_target(item)} has it: ",
    FactKind.SHOWS_THOUGH_DENIED: _denied,
    FactKind.SEEN_WHEN_ENABLED: lambda item: (
        f"It does where it is asked for ({item.text('channel')}, {_id(item)}): "
    ),
}

_RENDER: Mapping[FactKind, Render] = {
    FactKind.TEXT: lambda item: item.text("text"),
    FactKind.OBSERVED: lambda item: item.text("text"),
    FactKind.STIMULUS: _stimulus,
    FactKind.SHOWED: _stimuli,
    FactKind.LACKED: _stimuli,
    FactKind.SHOWED_NOTHING: lambda item: (
        f"{item.text('stimulus')} showed nothing: {item.text('text')}"
    ),
    FactKind.NOT_SENT: lambda item: f"{item.text('stimulus')!r} was not sent.",
    FactKind.NO_ANSWER: _no_answer,
    FactKind.PROCESS_DIED: _died,
    FactKind.DIED_AFTER_PROBE: lambda item: f"after the probe: {_inner(item)}",
    FactKind.SOAK_CRASHED: _soak_crashed,
    FactKind.SHOWS_UNDOCUMENTED: lambda item: (
        "It shows only with switches that are not documented for it"
        f" ({', '.join(item.texts('channels'))})."
    ),
    FactKind.NOT_STARTED: _not_started,
    FactKind.CELL_FAILED: lambda item: as_sentence(item.text("detail")),
    FactKind.NOT_BUILT: _not_built,
    FactKind.NOT_IMPORTED: _not_imported,
    FactKind.SYSTEM_FILE_MISSING: _system_file,
    FactKind.NO_PROCESS: lambda _: "No process was run.",
    FactKind.NO_IDENTITY: lambda _: "The cell did not tell what is installed in it.",
    FactKind.WRONG_INSTALL: lambda item: (
        f"{item.text('name')} is {item.text('installed') or 'missing'} where"
        f" {item.text('requested')} was asked for."
    ),
    FactKind.NOT_CONTAINED: lambda _: "It ran on a machine itself, not in a container.",
    FactKind.PROBE_NOT_SENT: lambda _: "The probe was not sent.",
    FactKind.REPEATS_AGREE: lambda item: f"({item.text('count')} of {item.text('count')})",
    FactKind.REPEATS_DIFFER: lambda item: f"Repeats differ: {', '.join(item.texts('counts'))}.",
    FactKind.NOTHING_WITHOUT_FEATURE: lambda _: "With the feature off it does not show.",
    FactKind.SHOWS_WITHOUT_FEATURE: lambda item: (
        f"It also shows with the feature off ({item.text('control')}):"
        f" {'; '.join(map(_stimulus, item.facts))}."
    ),
    FactKind.CONTROL_FAILED: lambda item: (
        f"With the feature off ({item.text('control')}) nothing can be told: {_inner(item)}"
    ),
    FactKind.CONTROL_SILENT: lambda item: (
        f"With the feature off ({item.text('control')}) nothing can be told:"
        f" {', '.join(item.texts('clauses'))}."
    ),
    FactKind.APP_FAILS_WITHOUT_FEATURE: lambda item: (
        f"The app itself fails: with the feature off ({item.text('control')})"
        f" {item.text('stimulus')!r} was answered {item.text('answers')},"
        f" not {item.text('expected')}."
    ),
    FactKind.APP_UNTESTED_WITHOUT_FEATURE: _app_untested,
    FactKind.NOTHING_BARE: lambda item: (
        f"Without ddtrace it does not show; its switch is no control here: {_inner(item)}"
    ),
    FactKind.ANSWERED: _answered,
    FactKind.BREAKS_APP: _breaks_app,
    FactKind.CRASHES_COUNTED: _crashes,
    FactKind.CRASHES_THERE: _crashes_there,
    FactKind.WORKS_BARE: lambda item: (
        f"Without ddtrace it works ({'; '.join(map(_answered, item.facts))})."
        if item.facts
        else "Without ddtrace it works."
    ),
    FactKind.APP_FAILS_BARE: lambda item: f"It fails without ddtrace as well: {_inner(item)}",
    FactKind.OTHER_WORKS: lambda item: f"{_named(item)} works in the same environment.",
    FactKind.HOLDS_IN: _holds_in,
    FactKind.LIBRARY_MISSING: lambda item: (
        f"The wheel {item.text('wheel')} (sha256 {item.text('sha256')}) has no"
        f" {item.text('library')} for {item.text('machine')}."
    ),
    FactKind.SEARCH_END: _search_end,
    FactKind.RELEASE_BEFORE: lambda item: (
        f"{_named(item)}, the release before,"
        f" {'already shows it' if item.text('shows') == 'present' else 'does not show it'}."
    ),
    FactKind.RELEASE_ABOVE: lambda item: (
        f"{_named(item)}, the first above the range, {_beyond(item)}."
    ),
    FactKind.COMPARED: lambda item: f"{_named(item)}: {_because(item)}",
    FactKind.NO_CONTROL_SHOWS: _no_control,
    FactKind.CONTROL_WORKS: _control_works,
    FactKind.SEEN_NOWHERE: lambda item: (
        f"The probe saw nothing in {', '.join(item.texts('cells')) or 'any other cell'} either."
    ),
    FactKind.SEEN_IN: lambda item: f"The same probe does see it in {_id(item)}.",
    FactKind.CHOICE: lambda item: f"({item.text('text')})",
    FactKind.WORKS_ON_PYTHON: lambda item: (
        f"On CPython {_python(item)} it does, and {_shows(item)}."
    ),
    FactKind.LOWEST_USABLE: _lowest,
    FactKind.GAP: _gap,
    FactKind.NO_LATER_USABLE: lambda item: (
        f"No later release that was tried does on CPython {_python(item)}"
        f" ({', '.join(item.texts('versions'))})."
    ),
    FactKind.NOT_RUN: lambda _: "It was not run.",
    FactKind.NOTE: lambda item: f"{_id(item)}: {_inner(item)}",
    FactKind.NEWEST_LACKS: _newest_lacks,
    FactKind.NEWEST_WITH: lambda item: f"the newest release seen to have it is {_named(item)}",
    FactKind.CONTROL_UNUSABLE: lambda item: (
        f"{_id(item)} could not serve as the positive control: {_because(item)}"
    ),
    FactKind.TIGHTNESS_OPEN: lambda _: (
        "not every part could tell whether the release before lacks it"
    ),
    FactKind.OMITTED: lambda item: f"{item.text('count')} left out: {item.text('reason')}",
    FactKind.PART: lambda item: (
        f"[{item.text('probe')}, {item.text('channel')}, {_id(item)}] {_inner(item)}"
    ),
    FactKind.ALSO_FAILS: lambda item: f"{item.text('probe')}/{item.text('channel')} in {_id(item)}",
    FactKind.PARTS_FAIL: _parts_fail,
    FactKind.PARTS_HOLD: lambda item: (
        f"All {item.text('count')} parts hold, such as: {_inner(item)}"
    ),
    FactKind.PARTS_OPEN: _parts_open,
    FactKind.NOT_TESTED: _not_tested,
    FactKind.NOT_PLANNED: lambda _: "Nothing was planned for it.",
    FactKind.USABLE_NOWHERE: _usable_nowhere,
    FactKind.RULED_OUT: _ruled_out,
    FactKind.INDEX: lambda item: f"The package index: {item.text('text')}",
    FactKind.EXPERIMENTS: lambda item: f"of the experiments: {_inner(item)}",
    **dict.fromkeys(_PREFIXES, lambda item: f"{_PREFIXES[item.kind](item)}{_inner(item)}"),
}
