"""What a negative control must be like before it can be said to show nothing."""

from __future__ import annotations

from matrix.model.capture import ProcessCapture
from matrix.model.probe import Sighting, Stimulus

__all__ = ["why_no_control"]

_SERVER_ERROR = 500


def why_no_control(process: ProcessCapture, sighting: Sighting, stimulus: Stimulus) -> str | None:
    """Return why the request tells nothing of the feature, in a clause; None where it does.

    An app that is broken shows nothing either, and so does a tracer that has stopped. Hence the app
    must answer as it does by itself, and where tracing is on the request must have left its span.
    """
    status = sighting.exchange.status
    if status is None:
        return "was not answered"
    if stimulus.plain is None and status >= _SERVER_ERROR:
        return f"was answered {status}"
    if stimulus.plain is not None and status != stimulus.plain:
        return f"was answered {status}, not {stimulus.plain}"
    if process.traced and sighting.root is None:
        return "left no span"
    return None
