"""`python -m sandbox.daemon`: the service without grading (`coderl sandbox serve` adds that)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.daemon.server import Place, serve
from sandbox.errors import SandboxError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.daemon", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; empty: no TCP")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--unix", type=Path, help="path of a unix socket to listen at")
    parser.add_argument("--tokens", type=Path, help="TOML file of tokens, see sandbox/daemon/tokens.py")
    parser.add_argument("--slots", type=int, default=2, help="programs that run at once, for each image")
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    place = Place(host=options.host or None, port=options.port, unix=options.unix)
    try:
        serve(
            place=place,
            slots=options.slots,
            backend=options.backend,
            tokens=options.tokens,
            ready=lambda line: print(line, flush=True),
        )
    except SandboxError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
