"""Where programs run: in a pool of this process, or on sandbox daemons elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence

import sandbox
from sandbox.client import Client
from sandbox.errors import InputError
from sandbox.pool.opening import open_image
from sandbox.pool.pool import Pool
from sandbox.protocol import Limits

SILENCE_SECONDS = (
    60.0  # of all daemons: then a program counts as not graded, and a training run says so and tries again
)
TOKEN_VARIABLE = "CODERL_TOKEN"  # a secret: not in a configuration, which every run folder keeps

OpenRunner = Pool | Client


def open_runner(
    *,
    urls: Sequence[str],
    slots: int,
    backend: str,
    languages: Collection[str] = (),
    requirements: Collection[str] = (),
    image: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> OpenRunner:
    """The daemons at `urls`, or where there are none a pool here; use it in a `with` statement.

    `languages`: of the programs, besides Python; daemons say themselves what they have. `requirements`: packages that
    programs and tests find, beyond the usual ones; `image`: the docker image that programs run in, by its id. `report`
    is told what takes long to open.

    Raises:
        InputError: packages or an image are asked for where daemons run the programs.
        NoBackendError: no backend works here.
        DaemonError: none of the daemons answers, or one refuses the token.
    """
    if urls and (requirements or image):
        raise InputError(
            "what programs may import is their daemon's to say; start it with "
            "`coderl sandbox serve --requirement ...` or `--image ...`"
        )
    if urls:
        return sandbox.connect(urls, os.environ.get(TOKEN_VARIABLE), patience_seconds=SILENCE_SECONDS)
    if image:
        return Pool(open_image(image, Limits(), report), slots)
    return sandbox.open_pool(slots, backend, languages=languages, requirements=requirements, report=report)
