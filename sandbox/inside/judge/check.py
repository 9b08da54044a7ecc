"""A checker that is a function: main of a `check` process, in a judge's cell.

payload  {"program": source, "case": codec text of (input, output, answer)}
frame    {"result": codec text of what `check` returned} or {"failure": its exception as data}
"""

from __future__ import annotations

from typing import Any

from sandbox.inside import wire
from sandbox.inside.candidate import program
from sandbox.inside.values import codec

_RESULT_BYTES = 1 << 16
_OUTPUT_CHARS = 1 << 16


def main() -> None:
    payload = wire.read_payload()
    program._capture_output(_OUTPUT_CHARS)
    module, failure = program.load(payload["program"], "checker", "import")
    if module is not None:
        case: Any = codec.decode(payload["case"], max_bytes=1 << 30)
        try:
            result = vars(module)["check"](*case)
            wire.send(wire.RESULTS, {"result": codec.encode(result, max_bytes=_RESULT_BYTES)})
            return
        except BaseException as error:  # the boundary to the checker  # noqa: BLE001
            failure = program.describe(error, "call")
    wire.send(wire.RESULTS, {"failure": failure})
