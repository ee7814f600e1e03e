"""Phrases of what one cell showed or failed to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matrix.judging.words import NestedPhrase, Phrase, as_sentence, capital, named, one_line
from matrix.model.fact import Fact, FactKind

_WAYS = {
    "does-not-start": "The app does not start under the tracer",
    "crashes": "The app crashes under the tracer",
    "answers-otherwise": "The app answers otherwise under the tracer",
    "starts-untraced": "The app answers, and is not traced any more once the feature is on",
}


_TRACING_OFF = {"fails": " It fails with tracing off too.", "works": " With tracing off it works."}


_SYSTEM_FILES = {
    "shared": "the system has no {name}",
    "header": "the system has no header {name}",
    "tool": "the system has no program {name}",
    "link": "the system has no library {name} to link with",
    "pkgconfig": "pkg-config knows no {name}",
}


def _stimulus(item: Fact) -> str:
    texts = "; ".join(each.text("text") for each in item.facts)
    tried = item.number("tried")
    return f"{item.text('stimulus')}: {texts}{f', {tried} tried' if tried else ''}"


def _stimuli(item: Fact) -> str:
    return f"{capital('; '.join(map(_stimulus, item.facts)))}."


def _no_answer(item: Fact) -> str:
    error = item.text("error")
    return f"No answer to {item.text('stimulus')!r}{f': {one_line(error)}' if error else '.'}"


def _died(item: Fact) -> str:
    if not item.text("code"):
        return as_sentence(item.text("detail") or "the process died")
    code = item.number("code")
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"The process ended by itself with {how}."


def _soak_crashed(item: Fact, inner: Sequence[str]) -> str:
    sent = item.text("sent")
    after = f" after up to {sent} requests" if sent else ""
    return f"it crashed in the soak ({item.text('setting')}){after}: {' '.join(inner)}"


def _not_started(item: Fact) -> str:
    words = item.text("last_words")
    tail = f" Its last words: {as_sentence(words)}" if words else ""
    return as_sentence(item.text("detail")) + tail


def _not_built(item: Fact, inner: Sequence[str]) -> str:
    cause = " ".join(inner)
    return f"{item.text('requirement')} does not build: {as_sentence(cause)}"


def _not_imported(item: Fact, inner: Sequence[str]) -> str:
    cause = " ".join(inner) or item.text("error")
    text = f"{item.text('module')} does not import: {as_sentence(cause)}"
    if companion := item.text("companion"):
        text += (
            f" {companion}, as installed with it, does not have that: it needs companions of"
            " another time, or another CPython."
        )
    return text


def _system_file(item: Fact) -> str:
    text = _SYSTEM_FILES[item.text("of")].format(name=item.text("name"))
    if packages := item.texts("packages"):
        return f"{text}, which Debian has in {' and '.join(packages)}."
    return f"{text}; the package that has it is not known here."


def _answered(item: Fact) -> str:
    expected = item.text("expected")
    tail = f", not {expected}" if expected else ""
    return f"{item.text('stimulus')!r} is answered {item.text('answer')}{tail}"


def _breaks_app(item: Fact, inner: Sequence[str]) -> str:
    count = item.text("count")
    inner = "; ".join(inner)
    tail = _TRACING_OFF.get(item.text("tracing_off"), "")
    return f"{_WAYS[item.text('way')]} ({count} of {count}): {as_sentence(inner)}{tail}"


def _crashes(item: Fact, inner: Sequence[str]) -> str:
    what, _, where = item.text("subject").partition("/")
    doing = {"start": f"at the start ({where})", "soak": f"in the soak ({where})"}.get(
        what, f"at the requests of {what}, {where}"
    )
    died = f"{item.text('died')} of {item.text('count')} processes"
    counts = [died, *inner]
    if item.number("off_count"):
        off = f"{item.text('off_died')} of {item.text('off_count')} with it off"
        counts.insert(1, off)
    return f"A signal kills processes {doing}: {'; '.join(counts)}."


def _crashes_there(item: Fact) -> str:
    assert item.cell is not None  # noqa: S101 - facts on releases have a cell
    name = item.cell.ddtrace if item.text("by") == "tracer" else named(item)
    return f"{item.text('died')} of {item.text('count')} under {name}"


PLAIN: Mapping[FactKind, Phrase] = {
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
    FactKind.PREVIEW_PYTHON: lambda item: (
        f"CPython {item.text('python')} is a preview: what it shows may change until its release."
    ),
    FactKind.SHOWS_UNDOCUMENTED: lambda item: (
        "It shows only with switches that are not documented for it"
        f" ({', '.join(item.texts('channels'))})."
    ),
    FactKind.NOT_STARTED: _not_started,
    FactKind.CELL_FAILED: lambda item: as_sentence(item.text("detail")),
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
    FactKind.ANSWERED: _answered,
    FactKind.CRASHES_THERE: _crashes_there,
}
"""Phrases of facts that stand alone."""

NESTED: Mapping[FactKind, NestedPhrase] = {
    FactKind.DIED_AFTER_PROBE: lambda _, inner: f"after the probe: {' '.join(inner)}",
    FactKind.SOAK_CRASHED: _soak_crashed,
    FactKind.NOT_BUILT: _not_built,
    FactKind.NOT_IMPORTED: _not_imported,
    FactKind.BREAKS_APP: _breaks_app,
    FactKind.CRASHES_COUNTED: _crashes,
}
"""Phrases that contain those of the facts within a fact."""
