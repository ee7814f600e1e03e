"""Make images, two at a time, with a line for each that is done."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matrix.errors import ExitCode, StorageError
from matrix.images.source import ImageError, Tell
from matrix.images.tool import stop_all
from matrix.model.reason import Reason

if TYPE_CHECKING:
    from matrix.images.catalog import ImageCatalog
    from matrix.model.image import Image

__all__ = ["build"]

# The half of the work is another process's, and the engine's; more at once only fills the disk.
_AT_ONCE = 2


def build(catalog: ImageCatalog, wanted: Sequence[tuple[str, str]], tell: Tell) -> int:
    """Make the images of these CPythons and targets; return the exit code. Raises UserError."""

    def one(pair: tuple[str, str]) -> Image | ImageError:
        started = time.monotonic()
        try:
            image = catalog.ensure(*pair, tell)
        except ImageError as error:
            tell(f"CPython {pair[0]} for {pair[1]}: FAILED, {error.detail}")
            return error
        seconds = time.monotonic() - started
        tell(
            f"CPython {image.python} for {image.target}: ready in {seconds:.1f} s"
            f" ({image.name}, {image.id.removeprefix('sha256:')[:12]})"
        )
        return image

    pool = concurrent.futures.ThreadPoolExecutor(_AT_ONCE)
    try:
        results = list(pool.map(one, wanted))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop_all()
        raise
    pool.shutdown()
    failed = [result for result in results if isinstance(result, ImageError)]
    tell(f"{len(results) - len(failed)} images ready, {len(failed)} failed")
    full = next((error for error in failed if error.reason is Reason.DISK_FULL), None)
    if full is not None:
        raise StorageError(full.detail, "Make room, or name another folder in TMPDIR.")
    return ExitCode.UNVERIFIED if failed else ExitCode.OK
