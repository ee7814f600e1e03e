"""Coverage: the experiment that answers each promise, from `data/coverage.toml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from matrix.model.claim import Claim, ClaimKind
from matrix.model.reason import Reason
from matrix.planning.library_names import NamedLibrary, named_libraries
from matrix.probes.declarations import Integration
from matrix.probes.integrations import load_integrations
from matrix.probes.places import load_places
from matrix.probes.registry import AUTOMATIC, ERROR, EXPLICIT, probe_name
from matrix.probes.shops import load_shops
from matrix.system.files import read_data

_ANY = "*"
"""The subject of the entry for all frameworks."""


@dataclasses.dataclass(frozen=True)
class CoverageRule:
    """One entry: the probe, its channels that the promise is about, and where to run it.

    `capability` are the capabilities whose documented minimum applies, in the order to look them
    up. `table` is `framework` or `authentication` for the page's tables, "" where `frameworks` are
    used. `back_ends` are those that the probe supports, empty where it needs none; `drivers` maps
    some of them to the name of the row that tests them. `stores` are the rows of data stores that
    are tested, by the channel of their probes that ends with `store_channel`; each of
    `stores_left_out` has the reason why nothing is to be seen of that one. `able` is the framework
    whose newest release is the positive control of a promise of absence. `library` is the library
    that the cells test, "" where they test a sample app; `distribution` is the only one of it that
    the promise is about, "" for all. `denied` are channels that must show nothing, each with the
    channel that must show in the same cell. `others` answer the same promise, for the other roles
    of a library. `named` maps words of notes to channels: only those that a note names are its own.
    """

    probe: str
    channels: tuple[str, ...]
    frameworks: tuple[str, ...]
    capability: tuple[str, ...] = ()
    table: str = ""
    app: str = ""
    tight: bool = False
    able: str = ""
    back_ends: tuple[str, ...] = ()
    drivers: tuple[tuple[str, str], ...] = ()
    library: str = ""
    distribution: str = ""
    denied: tuple[tuple[str, str], ...] = ()
    stores: tuple[str, ...] = ()
    store_channel: str = ""
    stores_left_out: tuple[tuple[str, str], ...] = ()
    others: tuple[CoverageRule, ...] = ()
    named: tuple[tuple[str, str], ...] = ()

    def named_back_ends(self, claim: Claim) -> tuple[str, ...]:
        """Return the back ends that a claim names, none for a rule without back ends."""
        named = (claim.get("note") or "").split(",") if self.back_ends else ()
        return tuple(dict.fromkeys(name for word in named if (name := word.strip())))

    def of_note(self, claim: Claim) -> CoverageRule | None:
        """Return the rule with the channels that the claim's note names, None where it has none."""
        note = (claim.get("note") or "").casefold()
        channels = dict.fromkeys(channel for word, channel in self.named if word in note)
        return dataclasses.replace(self, channels=tuple(channels)) if channels else None


@dataclasses.dataclass(frozen=True)
class Coverage:
    """All entries.

    `apps` are the frameworks with a sample app; `samples` are used where a page names none.
    `deployments` are those that there are places for.
    """

    rules: Mapping[tuple[str, str], CoverageRule]
    reasons: Mapping[str, Reason]
    samples: tuple[str, ...]
    apps: tuple[str, ...]
    deployments: frozenset[str] = frozenset()
    integrations: Mapping[str, Integration] = dataclasses.field(default_factory=dict)

    @property
    def soaked(self) -> frozenset[str]:
        """Return the probes of capabilities: a cell that one of them decides also serves a soak."""
        capability = ClaimKind.CAPABILITY.value
        return frozenset(rule.probe for (kind, _), rule in self.rules.items() if kind == capability)

    def rule(self, claim: Claim) -> CoverageRule | Reason:
        """Return the rule for a claim, or the reason why it has none."""
        kind = claim.kind.value
        deployment = claim.get("deployment")
        if deployment and deployment not in self.deployments:
            return self.reasons.get(ClaimKind.DEPLOYMENT.value, Reason.NO_PROBE)
        reason = self.reasons.get(f"{kind}.{claim.subject}") or self.reasons.get(kind)
        if claim.kind is ClaimKind.DEPLOYMENT and deployment:
            rule = self.rules.get((ClaimKind.CAPABILITY.value, claim.subject))
            rule = dataclasses.replace(rule, capability=(claim.subject,)) if rule else None
        elif reason is not None:
            return reason
        elif claim.kind is ClaimKind.FRAMEWORK:
            return self._framework_rule(claim)
        else:
            rule = self.rules.get((kind, claim.subject))
            if rule is not None and rule.named:
                rule = rule.of_note(claim)
            if rule is None and claim.kind is ClaimKind.INTEGRATION:
                return self._library_rule(claim)
        return rule or Reason.NO_PROBE

    def answering(self, claim: Claim, rule: CoverageRule) -> tuple[CoverageRule, ...]:
        """Return all rules that answer a claim: `rule`, its `others`, its drivers' and its stores'.

        Only drivers whose back ends the claim names, all of them where it names none.
        """
        drivers = dict(rule.drivers)
        named = rule.named_back_ends(claim) or rule.back_ends
        own = [rule] if not drivers or any(name not in drivers for name in named) else []
        driver_rows = dict.fromkeys(drivers[name] for name in named if name in drivers)
        answers = self._rules_of(driver_rows, rule)
        stores = (
            dataclasses.replace(store, channels=(self._store_channel(store.library, rule),))
            for store in self._rules_of(rule.stores, rule)
        )
        return (*own, *rule.others, *answers, *stores)

    def _store_channel(self, library: str, rule: CoverageRule) -> str:
        """Return the channel of a data store's probe, traced in the way that is documented."""
        way = EXPLICIT if self.integrations[library].explicit else AUTOMATIC
        return f"{way}-{rule.store_channel}"

    def _rules_of(self, rows: Iterable[str], rule: CoverageRule) -> Iterator[CoverageRule]:
        for row in rows:
            for library in named_libraries(self.integrations, row):
                yield _integration_rule(library, rule.capability)

    def _framework_rule(self, claim: Claim) -> CoverageRule | Reason:
        """Return the rule of a framework for its capability; without one it is traced at all.

        Without a sample app, a row's module, such as that of a server, says whether it is traced.
        """
        rule = None
        if capability := claim.get("capability"):
            rule = self.rules.get((ClaimKind.CAPABILITY.value, capability))
        elif claim.subject in self.apps:
            rule = self.rules.get((ClaimKind.FRAMEWORK.value, _ANY))
        else:
            for library in named_libraries(self.integrations, claim.subject):
                traced = _integration_rule(library, explicit=library.integration.explicit)
                # A list says nothing of how it is traced.
                return dataclasses.replace(traced, denied=())
        return rule if rule and claim.subject in self.apps else Reason.NO_PROBE

    def _library_rule(self, claim: Claim) -> CoverageRule | Reason:
        """Return the rule of a library's row, from the modules that its name and role lead to."""
        libraries = named_libraries(
            self.integrations,
            claim.subject,
            claim.get("role") or "",
            claim.get("integration") or "",
        )
        explicit = claim.get("automatic") == "no"
        if explicit:
            libraries = [library for library in libraries if library.integration.explicit]
        elif len(libraries) > 1:
            # A row without a role promises nothing of a role that is never traced automatically.
            libraries = [library for library in libraries if not library.integration.explicit]
        if not libraries:
            return Reason.NO_PROBE
        rule, *others = (_integration_rule(library, explicit=explicit) for library in libraries)
        return dataclasses.replace(rule, others=tuple(others))


def _integration_rule(
    library: NamedLibrary, capability: tuple[str, ...] = (), *, explicit: bool = False
) -> CoverageRule:
    integration = library.integration
    channel = EXPLICIT if explicit else AUTOMATIC
    # A row of versions promises spans; their errors are promised by notes about a capability.
    errors = capability and integration.error is not None
    return CoverageRule(
        probe=probe_name(integration.slug),
        channels=(channel, channel + ERROR) if errors else (channel,),
        frameworks=(),
        capability=capability,
        library=integration.slug,
        distribution=library.distribution,
        denied=((AUTOMATIC, EXPLICIT),) if explicit else (),
    )


def load_coverage(
    data: Mapping[str, Any] | None = None, integrations: Mapping[str, Integration] | None = None
) -> Coverage:
    """Return the project's coverage, or that of `data` and `integrations`."""
    own = data is None
    if integrations is None:
        integrations = load_integrations() if own else {}
    data = read_data("coverage") if data is None else data
    samples = tuple(data["samples"]["frameworks"])
    rules = {
        (kind.value, subject): _rule(kind, entry, samples)
        for kind in ClaimKind
        for subject, entry in data.get(kind.value, {}).items()
    }
    reasons = {key: Reason(value) for key, value in data["left-out"].items()}
    deployments = frozenset(place.deployment for place in load_places().values())
    apps = tuple(load_shops()) if own else samples
    return Coverage(rules, reasons, samples, apps, deployments, integrations)


def _rule(kind: ClaimKind, entry: Mapping[str, Any], samples: tuple[str, ...]) -> CoverageRule:
    named = entry.get("frameworks", "")
    about_a_capability = kind in (ClaimKind.CAPABILITY, ClaimKind.AUTHENTICATION)
    frameworks = samples if isinstance(named, str) else named
    return CoverageRule(
        probe=entry["probe"],
        channels=tuple(entry["channels"]),
        frameworks=tuple(entry.get("samples", frameworks)),
        capability=tuple(entry.get("capability", ())),
        table={"table": "framework"}.get(named, named) if isinstance(named, str) else "",
        app=entry.get("app", ""),
        tight=bool(entry.get("tight", about_a_capability)),
        able=entry.get("able", ""),
        back_ends=tuple(entry.get("back_ends", ())),
        drivers=tuple(entry.get("drivers", {}).items()),
        stores=tuple(entry.get("stores", ())),
        named=tuple(entry.get("named", {}).items()),
        store_channel=entry.get("store_channel", ""),
        stores_left_out=tuple(entry.get("stores_left_out", {}).items()),
    )
