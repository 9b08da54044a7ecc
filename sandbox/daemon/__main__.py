"""`python -m sandbox.daemon`: the service without grading (`coderl sandbox serve` adds that)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox.daemon.routes import Settings
from sandbox.daemon.server import Place, serve
from sandbox.errors import SandboxError


def parser() -> argparse.ArgumentParser:
    """The options of `coderl sandbox serve` (coderl/cli/sandbox_commands.py)."""
    found = argparse.ArgumentParser(prog="python -m sandbox.daemon", description=__doc__)
    add = found.add_argument
    add("--host", default="127.0.0.1", help="address to listen at; empty: no TCP")
    add("--port", type=int, default=8000, help="0: any free one")
    add("--unix", type=Path, help="unix socket to listen at")
    add("--tokens", type=Path, help="TOML file of tokens and quotas, see sandbox/daemon/tokens.py")
    add("--slots", type=_at_least(1), default=2, help="programs that run at once, for each image")
    add("--backend", default="auto", help="auto, docker, bubblewrap, confined")
    add("--image", action="append", help="digest of one more image that jobs may name; repeatable (docker)")
    add("--language", action="append", help="a language besides Python (cpp); repeatable")
    add(
        "--requirement",
        action="append",
        help="a package that programs may import, as pip names it; repeatable",
    )
    add("--queue", type=_at_least(1), default=4096, help="programs that may wait or run")
    add(
        "--cache-mib",
        type=_at_least(0),
        default=0,
        help="memory for answers to questions that are asked again",
    )
    add("--drain-seconds", type=_at_least(0), default=60, help="after SIGTERM, for what runs")
    return found


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{value} is below {least}")
        return value

    return number


def main() -> int:
    options = parser().parse_args()
    try:
        serve(
            place=Place(host=options.host or None, port=options.port, unix=options.unix),
            slots=options.slots,
            backend=options.backend,
            images=options.image or [],
            languages=options.language or [],
            requirements=options.requirement or [],
            settings=Settings(queue=options.queue, cache_bytes=options.cache_mib << 20),
            tokens=options.tokens,
            drain_seconds=options.drain_seconds,
            ready=lambda line: print(line, flush=True),
        )
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
