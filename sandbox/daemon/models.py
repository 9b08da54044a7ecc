"""What a request may hold. Bounds are here, so that they stand on the OpenAPI page too."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from sandbox.daemon.schedule import MAX_PRIORITY
from sandbox.inside.codec import CodecError
from sandbox.protocol import MIB, Calls, Job, Judge, Limits, Stdio
from sandbox.transfer import call_from_json

MAX_ITEMS = 4096  # in one request
MAX_TESTS = 20_000  # calls or inputs of one job
MAX_SOURCE = 4 * MIB  # characters of a program, a test or a prompt
_DEFAULTS = Limits()
_NAME = r"^[^\x00-\x1f\x7f]*$"


def _text(value: Any) -> str:
    """Any string, lone surrogates included: what a program is made of is for Python to judge."""
    if not isinstance(value, str):
        raise ValueError("should be a string")
    if len(value) > MAX_SOURCE:
        raise ValueError(f"should have at most {MAX_SOURCE} characters, has {len(value)}")
    return value


Source = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string", "maxLength": MAX_SOURCE})]
Name = Annotated[str, Field(max_length=200, pattern=_NAME)]
Digest = Annotated[str, Field(pattern="^(sha256:[0-9a-f]{64})?$", description="Empty: the daemon's default.")]
Values = Annotated[list[Any], Field(max_length=1000, description="Nodes of the codec: JSON, and tags.")]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class LimitsModel(Model):
    """Bounds on one program. A daemon may allow less than what stands here."""

    cpu_seconds: float = Field(_DEFAULTS.cpu_seconds, ge=0.01, le=300, description="per test")
    total_cpu_seconds: float = Field(_DEFAULTS.total_cpu_seconds, ge=0.01, le=3600, description="all tests")
    wall_seconds: float = Field(_DEFAULTS.wall_seconds, ge=0.01, le=600, description="per test")
    memory_bytes: int = Field(_DEFAULTS.memory_bytes, ge=32 * MIB, le=16 * 1024 * MIB)
    output_bytes: int = Field(_DEFAULTS.output_bytes, ge=0, le=64 * MIB, description="each stream, per test")
    value_bytes: int = Field(_DEFAULTS.value_bytes, ge=64, le=64 * MIB, description="per test")
    processes: int = Field(_DEFAULTS.processes, ge=1, le=256)
    open_files: int = Field(_DEFAULTS.open_files, ge=16, le=1024)
    scratch_bytes: int = Field(_DEFAULTS.scratch_bytes, ge=0, le=4 * 1024 * MIB)

    def limits(self) -> Limits:
        return Limits(**self.__dict__)


class CallModel(Model):
    """`function(*args, **kwargs)`; `Class.method` is called on a fresh `Class()`."""

    function: Name
    args: Values = []
    kwargs: dict[str, Any] = {}


class CallsModel(Model):
    kind: Literal["calls"]
    calls: list[CallModel] = Field(min_length=1, max_length=MAX_TESTS)


class StdioModel(Model):
    kind: Literal["stdio"]
    inputs: list[Source] = Field(min_length=1, max_length=MAX_TESTS)


class JudgeModel(Model):
    kind: Literal["judge"]
    judge: Literal["script", "check", "unittest", "pytest"]
    test: Source
    entry_point: Name | None = None
    prompt: Source = ""
    in_process: bool = Field(
        False, description="The test shares the program's process, where it can be forged."
    )


class JobModel(Model):
    id: Name = ""
    program: Source
    work: Annotated[CallsModel | StdioModel | JudgeModel, Field(discriminator="kind")]
    prelude: Source = ""
    limits: LimitsModel = LimitsModel()
    language: Literal["python", "cpp"] = Field("python", description="cpp: with stdio work only.")
    image: Digest = ""
    key: Name = Field("", description="Idempotency key: what has it was asked before is not run again.")

    def job(self) -> Job:
        """Raises `CodecError` for arguments that are no values."""
        return Job(
            id=self.id,
            program=self.program,
            work=self._work(),
            prelude=self.prelude,
            limits=self.limits.limits(),
            language=self.language,
            image=self.image,
        )

    def _work(self) -> Calls | Stdio | Judge:
        work = self.work
        if isinstance(work, CallsModel):
            return Calls(tuple([_call(number, call) for number, call in enumerate(work.calls)]))
        if isinstance(work, StdioModel):
            return Stdio(tuple(work.inputs))
        return Judge(
            kind=work.judge,
            test=work.test,
            entry_point=work.entry_point,
            prompt=work.prompt,
            in_process=work.in_process,
        )


def _call(number: int, call: CallModel) -> Any:
    try:
        return call_from_json(call.function, call.args, call.kwargs)
    except CodecError as error:
        raise CodecError(f"work.calls.{number}: {error}") from None


class Ordering(Model):
    """What every batch may say of when it runs."""

    priority: int = Field(5, ge=0, le=MAX_PRIORITY, description="Higher runs first.")
    deadline_seconds: float | None = Field(
        None, gt=0, le=86_400, description="What has not started by then ends as `infra`; what runs goes on."
    )


class RunRequest(Ordering):
    jobs: list[JobModel] = Field(min_length=1, max_length=MAX_ITEMS)


class Fault(BaseModel):
    """Every answer that is not a success."""

    code: str = Field(description="For programs.")
    message: str = Field(description="For people: what is wrong, where, what helps.")


class Error(BaseModel):
    error: Fault
