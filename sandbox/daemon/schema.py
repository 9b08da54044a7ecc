"""What a request may hold. Bounds are declared here, so that the OpenAPI page has them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from sandbox.daemon.guard import RequestError, told
from sandbox.inside.values.codec import CodecError
from sandbox.job_json import call_from_json, case_from_json
from sandbox.pool.queue import MAX_PRIORITY
from sandbox.protocol import CEILING, MIB, Calls, Case, Checks, Dialogues, Job, Judge, Limits, Stdio

MAX_ITEMS = 4096  # in one request
MAX_TESTS = 20_000  # calls or inputs of one job
_DEFAULTS = Limits()
_NAME = r"^[^\x00-\x1f\x7f]*$"


def _text(value: Any) -> str:
    """Any string, lone surrogates included: what a program is made of is for Python to judge.

    As long as the body that it comes in may be: a long program's or test's verdict is the sandbox's to find.
    """
    if not isinstance(value, str):
        raise ValueError("should be a string")
    return value


Source = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]
Name = Annotated[str, Field(max_length=200, pattern=_NAME)]
Digest = Annotated[str, Field(pattern="^(sha256:[0-9a-f]{64})?$", description="Empty: the daemon's default.")]
Values = Annotated[list[Any], Field(max_length=1000, description="Nodes of the codec: JSON, and tags.")]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _limit(name: str, least: float, description: str | None = None) -> Any:
    return Field(getattr(_DEFAULTS, name), ge=least, le=getattr(CEILING, name), description=description)


class LimitsModel(Model):
    """Bounds on one program, up to `CEILING`."""

    cpu_seconds: float = _limit("cpu_seconds", 0.01, "per test")
    total_cpu_seconds: float = _limit("total_cpu_seconds", 0.01, "all tests")
    wall_seconds: float = _limit("wall_seconds", 0.01, "per test")
    memory_bytes: int = _limit("memory_bytes", 32 * MIB)
    output_bytes: int = _limit("output_bytes", 0, "each stream, per test")
    value_bytes: int = _limit("value_bytes", 64, "per test")
    processes: int = _limit("processes", 1)
    open_files: int = _limit("open_files", 16)
    scratch_bytes: int = _limit("scratch_bytes", 0)

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


class ChecksModel(Model):
    """Outputs for the job's program, a checker, to decide on."""

    kind: Literal["checks"]
    style: Literal["function", "testlib", "printed"]
    cases: list[Annotated[list[Any], Field(min_length=3, max_length=3)]] = Field(
        min_length=1,
        max_length=MAX_TESTS,
        description="Each: input, output, answer; texts unless style is function.",
    )


class DialoguesModel(Model):
    """The job's program and an interactor, joined by their standard streams."""

    kind: Literal["dialogues"]
    interactor: Source
    language: Literal["python", "cpp"] = "python"
    cases: list[Annotated[list[Source], Field(min_length=2, max_length=2)]] = Field(
        min_length=1, max_length=MAX_TESTS, description="Each: input and answer, the interactor's."
    )


class JobModel(Model):
    id: Name = ""
    program: Source
    work: Annotated[
        CallsModel | StdioModel | JudgeModel | ChecksModel | DialoguesModel, Field(discriminator="kind")
    ]
    prelude: Source = ""
    limits: LimitsModel = LimitsModel()
    language: Literal["python", "cpp"] = Field(
        "python", description="cpp: with work that runs whole programs."
    )
    image: Digest = ""
    key: Name = Field("", description="Idempotency key: what has it was asked before is not run again.")

    def job(self) -> Job:
        """Raises `CodecError` for arguments that are not values."""
        return Job(
            id=self.id,
            program=self.program,
            work=self._work(),
            prelude=self.prelude,
            limits=self.limits.limits(),
            language=self.language,
            image=self.image,
        )

    def _work(self) -> Calls | Stdio | Judge | Checks | Dialogues:
        work = self.work
        if isinstance(work, CallsModel):
            return Calls(tuple([_call(number, call) for number, call in enumerate(work.calls)]))
        if isinstance(work, StdioModel):
            return Stdio(tuple(work.inputs))
        if isinstance(work, ChecksModel):
            cases = tuple(_case(n, case, work.style) for n, case in enumerate(work.cases))
            return Checks(style=work.style, cases=cases)
        if isinstance(work, DialoguesModel):
            spoken = tuple((given, answer) for given, answer in work.cases)
            return Dialogues(interactor=work.interactor, language=work.language, cases=spoken)
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


def _case(number: int, values: list[Any], style: str) -> Case:
    try:
        case = case_from_json(values)
    except CodecError as error:
        raise CodecError(f"work.cases.{number}: {error}") from None
    texts = all(isinstance(value, str) for value in (case.input, case.output, case.answer))
    if style != "function" and not texts:
        raise CodecError(f"work.cases.{number}: a checker that is a program is given texts")
    return case


class Ordering(Model):
    """What every batch may say of when it runs."""

    priority: int = Field(5, ge=0, le=MAX_PRIORITY, description="Higher runs first.")
    deadline_seconds: float | None = Field(
        None, gt=0, le=86_400, description="What has not started by then ends as `infra`; what runs goes on."
    )


class Each:
    """Marks a list whose items are `model`s; a wrong item becomes a `RequestError`, and the others stand."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_or_refused, handler(self._model))


def _or_refused(value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except ValidationError as error:
        return RequestError(422, "invalid", told(error.errors()))


class RunRequest(Ordering):
    jobs: list[Annotated[JobModel | RequestError, Each(JobModel)]] = Field(min_length=1, max_length=MAX_ITEMS)


class Fault(BaseModel):
    """Every answer that is not a success."""

    code: str = Field(description="For programs.")
    message: str = Field(description="For people: what is wrong, where, what helps.")


class Error(BaseModel):
    error: Fault
