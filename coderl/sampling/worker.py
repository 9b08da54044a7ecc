"""One of the processes that processes.py starts: an engine, and its half of the conversation.

Told (model, config, options), it starts the engine; then it is told ("sample", requests, drawing) and ("publish",
file, version). It answers with completions and at the end None, or with an error. ("stop",) ends sampling early and has
no answer of its own. It ends when its connection does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from coderl.errors import CoderlError, PublishError
from coderl.sampling.engine import EngineSampler
from coderl.sampling.local import start_engine
from coderl.sampling.types import Drawing, Request


def main(descriptor: int) -> None:
    # A terminal's Ctrl-C reaches all processes; whether to stop is for the one that started this to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        model, config, options = connection.recv()
        sampler = start_engine(model, config, **options)
        connection.send(None)
        while True:
            _follow(sampler, connection, *connection.recv())
    except CoderlError as error:  # of its start
        connection.send(error)
    except (EOFError, OSError):  # the process that started it is gone
        return


def _follow(sampler: EngineSampler, connection: Connection, what: str, *arguments: Any) -> None:
    if what == "stop":  # too late: all was sampled
        return
    try:
        if what == "sample":
            _sample(sampler, connection, *arguments)
        elif what == "publish":
            _publish(sampler, *arguments)
    except CoderlError as error:
        connection.send(error)
    else:
        connection.send(None)


def _sample(
    sampler: EngineSampler, connection: Connection, requests: Sequence[Request], drawing: Drawing | None
) -> None:
    for completion in sampler.sample(requests, drawing):
        connection.send(completion)
        if connection.poll():  # told to stop, or the other end is gone
            return


def _publish(sampler: EngineSampler, file: Path, version: int) -> None:
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise PublishError(
            f"a sampling process cannot read the weights of version {version} from {file}: {error}. See that nothing "
            "removes files in the folder of sampler.transfer, then continue with --resume"
        ) from error
    sampler.publish(weights.items(), version)


if __name__ == "__main__":
    main(int(sys.argv[1]))
