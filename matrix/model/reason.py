"""Typed reasons for which a claim was not confirmed: open, or refuted in a way with a name."""

from __future__ import annotations

import enum


class Reason(str, enum.Enum):
    """Typed reasons; their sentences and remedies are in `data/reasons.toml`."""

    # Set by the plan: the cell cannot exist, or nothing can run it.
    NO_RELEASE = "no-release"
    NO_WHEEL = "no-wheel"
    REQUIRES_PYTHON = "requires-python"
    FRAMEWORK_PYTHON = "framework-python"
    FRAMEWORK_ERA = "framework-era"
    OUTSIDE_CLAIM = "outside-claim"
    NO_PROBE = "no-probe"
    NO_BACK_END = "no-back-end"
    NOT_AN_EXPERIMENT = "not-an-experiment"
    PLATFORM_NOT_HERE = "platform-not-here"
    DEPLOYMENT_NOT_HERE = "deployment-not-here"
    NO_VERSION = "no-version"
    NOT_IN_PROFILE = "not-in-profile"
    BETWEEN_BOUNDARIES = "between-boundaries"
    ONE_PLATFORM = "one-platform"
    NOT_SELECTED = "not-selected"
    NO_RUNTIME = "no-runtime"
    # Set by the machine.
    NO_INTERPRETER = "no-interpreter"
    NO_IMAGE = "no-image"
    WRONG_IMAGE = "wrong-image"
    INDEX_UNAVAILABLE = "index-unavailable"
    DISK_FULL = "disk-full"
    BUILD_FAILED = "build-failed"
    WRONG_INSTALL = "wrong-install"
    # Set by the run.
    NOT_RUN = "not-run"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed-out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out-of-memory"
    CONTAINER_LOST = "container-lost"
    POD_REFUSED = "pod-refused"
    ENGINE_LOST = "engine-lost"
    BACK_END_LOST = "back-end-lost"
    ENVIRONMENT_CHANGED = "environment-changed"
    WORKER_LOST = "worker-lost"
    CLUSTER_LOST = "cluster-lost"
    BROKEN_START = "broken-start"
    AGENT_FAILED = "agent-failed"
    INTERNAL_ERROR = "internal-error"
    # Set by the judge.
    BREAKS_APP = "breaks-app"
    CRASHES = "crashes"
    APP_FAILS = "app-fails"
    DOES_NOT_IMPORT = "does-not-import"
    SYSTEM_LIBRARY = "system-library"
    CONTROL_FAILED = "control-failed"
    NO_CONTROL = "no-control"
    SHOWS_WITHOUT_FEATURE = "shows-without-feature"
    UNSTABLE = "unstable"
    NO_PART_OF_PLACE = "no-part-of-place"
    NEEDS_EXTENSION = "needs-extension"
