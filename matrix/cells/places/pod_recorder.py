"""The recorder of a pod: runs the cell that the job's file holds, and prints the capture.

It is the first process of the container `recorder` (`python -m matrix.cells.places.pod_recorder`);
its variables tell it where everything is: see `matrix.kubernetes.pod_manifest`.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from matrix.cells.job import CellJob
from matrix.cells.places.pod_job import CARRIED, PodJob
from matrix.cells.places.pod_sandbox import PodPaths, relay_engine
from matrix.cells.run import run_cell
from matrix.kubernetes.printed import print_lines
from matrix.model.environment import Image


def main(environ: Mapping[str, str] = os.environ) -> None:
    """Run the cell and print its capture; raises what keeps that from being done."""
    capture = run_cell(read_job(environ))
    for line in print_lines(capture.to_json()):
        print(line)  # noqa: T201 - the result
    sys.stdout.flush()


def read_job(environ: Mapping[str, str]) -> CellJob:
    """Return the job that these variables lead to; raise OSError, KeyError or ValueError."""
    # Our own worker wrote it, into a namespace of the run.
    job = pickle.loads(Path(environ["CELL_JOB"]).read_bytes())  # noqa: S301
    if not isinstance(job, PodJob):
        raise TypeError(f"{environ['CELL_JOB']} holds no job")
    project = Path(environ["CELL_PROJECT"])
    agent, tracer = environ["CELL_AGENT"], environ["CELL_TRACER"]
    image = _read_image(Path(environ["CELL_IMAGE"]), job)
    paths = PodPaths(
        relays=Path(environ["CELL_RELAYS"]),
        agent=Path(agent) if agent else None,
        agent_port=int(environ["CELL_AGENT_PORT"]),
        node=environ.get("NODE_IP", ""),
        pod=environ.get("POD_IP", ""),
        tracer=PurePosixPath(tracer) if tracer else None,
        scratch=PurePosixPath(environ["CELL_SCRATCH"]),
    )
    return CellJob(
        **{field: getattr(job, field) for field in CARRIED},
        python=Path(image.executable),
        apps=project / "apps",
        fixtures=project / "fixtures" / "cell",
        image=image,
        connect=lambda: relay_engine(paths),
        parallel=1,  # all processes have the one address of the agent
    )


def _read_image(path: Path, job: PodJob) -> Image:
    """Return the app's image as its own interpreter has described it."""
    facts = json.loads(path.read_text(encoding="ascii"))
    return Image(
        id=job.image,
        digest=job.image,
        name=job.image,
        source="cluster",
        platform="",
        target=job.planned.cell.target,
        python=facts["python"],
        build=facts["build"],
        libc=facts["libc"],
        executable=facts["executable"],
        site="",
    )


if __name__ == "__main__":
    main()
