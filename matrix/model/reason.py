"""Why something was not confirmed: every reason has a type, a sentence and a way out."""

from __future__ import annotations

import enum


class Reason(str, enum.Enum):
    """Typed reasons; their sentences and remedies stand in `data/reasons.toml`."""

    # The plan knows: the cell cannot exist, or nothing can run it.
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
    # The machine knows.
    NO_INTERPRETER = "no-interpreter"
    NO_IMAGE = "no-image"
    WRONG_IMAGE = "wrong-image"
    INDEX_UNAVAILABLE = "index-unavailable"
    DISK_FULL = "disk-full"
    BUILD_FAILED = "build-failed"
    WRONG_INSTALL = "wrong-install"
    # The run knows.
    NOT_RUN = "not-run"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed-out"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out-of-memory"
    CONTAINER_LOST = "container-lost"
    ENGINE_LOST = "engine-lost"
    BACK_END_LOST = "back-end-lost"
    WORKER_LOST = "worker-lost"
    CLUSTER_LOST = "cluster-lost"
    BROKEN_START = "broken-start"
    AGENT_FAILED = "agent-failed"
    INTERNAL_ERROR = "internal-error"
    # The judge knows.
    CONTROL_FAILED = "control-failed"
    NO_CONTROL = "no-control"
    SHOWS_WITHOUT_FEATURE = "shows-without-feature"
    UNSTABLE = "unstable"
