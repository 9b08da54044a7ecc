"""LiveCodeBench (arXiv 2403.07974). Private tests are JSON, or JSON in a pickled string, zipped, in base64.

They are read without unpickling: a pickle is a program, and only the one that makes a string is accepted.
"""

from __future__ import annotations

import base64
import binascii
import pickletools
import zlib

from tasks.datasets.cases import entry_point, from_list, prompt_with_starter
from tasks.datasets.profiles import LIVECODEBENCH
from tasks.parsing import literal
from tasks.rows import Row, Skip
from tasks.types import Task

MAX_UNZIPPED_BYTES = 1 << 30  # the largest private test files take some hundred MB

_STRING_OPCODES = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
_SILENT_OPCODES = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"}


def livecodebench(row: Row) -> Task | Skip:
    starter = row.optional_text("starter_code")
    function = row.mapping("metadata").get("func_name")
    cases = [*(row.structure("public_test_cases") or []), *_private(row)]
    tests = from_list(row, "public_test_cases", LIVECODEBENCH, cases, function=function)
    if not tests:
        return Skip("no tests")
    name = entry_point(tests)
    return Task(
        id=row.identity("question_id"),
        prompt=prompt_with_starter(row.text("question_content"), starter),
        tests=tests,
        entry_point=name,
        prelude=LIVECODEBENCH.prelude_of(name),
        source=row.dataset,
        level=row.optional_text("difficulty"),
        cpu_seconds=LIVECODEBENCH.cpu_seconds,
        metadata={
            "question": row.text("question_content"),
            "starter_code": starter,
            **{name: row.optional_text(name) for name in ("question_title", "platform", "contest_date")},
        },
    )


def _private(row: Row) -> list[object]:
    field = "private_test_cases"
    text = row.optional_text(field)
    if not text.strip():
        return []
    try:
        cases = literal(text if text.lstrip().startswith("[") else unpack(text))
    except ValueError as error:
        row.fail(field, f"cannot be decoded ({error})")
    if not isinstance(cases, list):
        row.fail(field, "does not hold a list of cases")
    return cases


def unpack(text: str) -> str:
    """The string in base64 of zlib of a pickled string. Raises `ValueError` for anything else."""
    try:
        unzip = zlib.decompressobj()
        data = unzip.decompress(base64.b64decode(text, validate=True), MAX_UNZIPPED_BYTES)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not base64 of zlib: {error}") from None
    if not unzip.eof:
        raise ValueError(f"cut off, or larger than {MAX_UNZIPPED_BYTES} bytes")
    return pickled_string(data)


def pickled_string(data: bytes) -> str:
    """The string that `data` pickles, read without running it. Raises `ValueError` for any other pickle."""
    value: str | None = None
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in _STRING_OPCODES and value is None:
                value = str(argument)
            elif opcode.name == "STOP" and value is not None:
                return value
            elif opcode.name not in _SILENT_OPCODES:
                raise ValueError(f"the pickle holds {opcode.name}; only one string is accepted")
    except (UnicodeDecodeError, OverflowError, IndexError) as error:
        raise ValueError(f"damaged pickle: {error}") from None
    raise ValueError("the pickle holds no string")
