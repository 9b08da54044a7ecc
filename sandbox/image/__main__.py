"""`python -m sandbox.image build|show`: the docker backend's images."""

from __future__ import annotations

import argparse
import sys

from sandbox import image
from sandbox.backends.engine import connected
from sandbox.errors import BackendError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.image", description=__doc__)
    parser.add_argument("action", choices=("build", "show"), help="build what is missing, or only look")
    action = parser.parse_args().action
    try:
        with connected() as client:
            found = (
                image.find(client)
                if action == "show"
                else image.ensure(client, lambda line: print(line, flush=True))
            )
    except BackendError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if found is None:
        print(f"not built; build with: {image.BUILD_COMMAND}", file=sys.stderr)
        return 1
    for role, identity in found.items():
        print(f"{image.tag(role)}  {identity}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
