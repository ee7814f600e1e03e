"""What it means for a cell that its container is not to be had, or not there any more."""

from __future__ import annotations

from matrix.cells.place import PlaceError
from matrix.containers.seam import Container, ContainerError, Engine, EngineLostError
from matrix.model.image import Image
from matrix.model.reason import Reason

__all__ = ["LOST", "loss_of", "refusal_of"]

LOST = (ContainerError, OSError)
"""What an engine may raise when it went away."""

_KILLED = {None, 137, 143}


def refusal_of(engine: Engine, image: Image, error: ContainerError) -> PlaceError:
    """Return why no container of the image could be started."""
    try:
        held = engine.image(image.id)
    except ContainerError as lost:
        return PlaceError(Reason.ENGINE_LOST, str(lost))
    if isinstance(error, EngineLostError):
        return PlaceError(Reason.ENGINE_LOST, str(error))
    if held is None:
        return PlaceError(Reason.NO_IMAGE, f"{image.name} is not there any more: {error}")
    if held.platform != image.platform:
        return PlaceError(Reason.WRONG_IMAGE, f"it is for {held.platform}, not {image.platform}")
    return PlaceError(Reason.INTERNAL_ERROR, f"the engine refused: {error}")


def loss_of(container: Container, words: str, *, at_start: bool = False) -> PlaceError:
    """Return why the container is not heard any more; `at_start`: it was never heard."""
    try:
        state = container.state()
    except EngineLostError as error:
        return PlaceError(Reason.ENGINE_LOST, str(error))
    except ContainerError as error:
        return PlaceError(Reason.CONTAINER_LOST, f"{words}; {error}")
    if state.oom:
        return PlaceError(Reason.OUT_OF_MEMORY, f"the container was killed: {words}")
    code = "" if state.code is None else f" (exit code {state.code})"
    if at_start and state.code not in _KILLED:
        return PlaceError(Reason.WRONG_IMAGE, f"its interpreter does not run: {words}{code}")
    return PlaceError(Reason.CONTAINER_LOST, f"{words}{code}")
