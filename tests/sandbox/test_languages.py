"""C++: compiled in a cell under limits of its own, then run on each input, as isolated as any program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sandbox.errors import NoBackendError
from sandbox.inside.candidate.languages import available
from sandbox.jobs import compile_job
from sandbox.pool.opening import open_backend
from sandbox.pool.pool import Pool
from sandbox.protocol import Call, Calls, Job, Judge, Limits, Outcome, Status, Stdio
from tests.sandbox.conftest import LIMITS, open_or_skip, run_calls

SUM = r"""
#include <cstdio>
int main() { long a, b; scanf("%ld %ld", &a, &b); printf("%ld\n", a + b); }
"""
LOOK = r"""
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
void list(const char *folder) {
    DIR *open = opendir(folder);
    printf("%s:", folder);
    for (dirent *each; (each = readdir(open));) if (each->d_name[0] != '.') printf(" %s", each->d_name);
    puts("");
    closedir(open);
}
int main() {
    list("/tmp"); list("/dev/shm"); list("/proc/self/fd");
    printf("writable: %d\n", open("/proc/self/exe", O_RDWR) >= 0);
    extern char **environ;
    for (char **each = environ; *each; each++) puts(*each);
}
"""


@pytest.fixture(scope="module", params=["docker", "bubblewrap"])
def shared_cpp(request: pytest.FixtureRequest) -> Iterator[Pool]:
    try:
        backend = open_backend(request.param, LIMITS, languages=["cpp"])
    except NoBackendError as error:
        pytest.skip(f"{request.param} cannot run C++ here: {error}")
    with Pool(backend, 1, limits=LIMITS) as pool:
        yield pool


@pytest.fixture
def cpp(shared_cpp: Pool) -> Iterator[Pool]:
    """Whatever a test did, the next program is unaffected: in C++, and in Python."""
    yield shared_cpp
    assert outputs(run(shared_cpp, SUM, "1 2")) == ["3\n"]
    after = run_calls(shared_cpp, "def f(x):\n    import os\n    return x + 1, os.listdir('.')\n", 1)
    assert [test.value for test in after.tests] == [(2, [])], after


def run(pool: Pool, program: str, *inputs: str, limits: Limits = LIMITS) -> Outcome:
    outcome = pool.run(Job(id="test", program=program, work=Stdio(inputs), limits=limits, language="cpp"))
    assert outcome.attempts == 1, outcome.detail
    assert len(outcome.tests) == len(inputs)
    return outcome


def outputs(outcome: Outcome) -> list[str]:
    assert outcome.status is Status.OK, outcome
    return [test.stdout for test in outcome.tests]


def test_each_input_gets_a_run_of_its_own(cpp: Pool) -> None:
    outcome = run(
        cpp,
        '#include <cstdio>\nint n;\nint main() { int c; scanf("%d", &c); printf("%d\\n", n += c); }',
        "1",
        "2",
    )
    assert outputs(outcome) == ["1\n", "2\n"]
    assert outcome.cpu_seconds > 0 and outcome.peak_memory_bytes > 0


def test_a_program_that_does_not_compile_says_where_and_why(cpp: Pool) -> None:
    outcome = run(cpp, "int main() {\n    return nowhere;\n}\n", "", "")
    assert {test.status for test in outcome.tests} == {outcome.status} == {Status.COMPILE_ERROR}
    assert outcome.error is not None and outcome.error.phase == "compile"
    assert "error: ‘nowhere’ was not declared" in outcome.error.message
    assert [(frame.line, frame.source) for frame in outcome.error.frames] == [(2, "return nowhere;")]


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("int main() { for (volatile int i = 0;; i++); }", Status.CPU_TIMEOUT),
        ("#include <unistd.h>\nint main() { pause(); }", Status.WALL_TIMEOUT),
        ("#include <cstdlib>\n#include <cstring>\nint main() { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }", Status.MEMORY),
        ("#include <cstdio>\nint main() { for (;;) puts(\"flood\"); }", Status.OUTPUT_LIMIT),
        ("int main() { return *(volatile int *)0; }", Status.KILLED),
        ("int main() { return 3; }", Status.KILLED),
        ("int main() { return 125; }", Status.KILLED),
        ("#include <unistd.h>\nint main() { for (;;) fork(); }", Status.CPU_TIMEOUT),
        ("#include <csignal>\n#include <unistd.h>\nint main() { kill(-1, SIGKILL); kill(1, SIGKILL); pause(); }", None),
    ],
)  # fmt: skip
def test_what_a_program_does_is_its_own_failure(cpp: Pool, program: str, status: Status | None) -> None:
    limits = replace(LIMITS, cpu_seconds=0.5, wall_seconds=2.0 if "pause" in program else 30.0)
    outcome = run(cpp, program, "", limits=limits)
    assert outcome.status in ((status,) if status else (Status.KILLED, Status.WALL_TIMEOUT)), outcome


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ('#include "/dev/zero"\n', "out of memory"),
        ("int a[1 << 28] = {1}; int main() {}", "File too large"),
        ("int main() { return 0" + "+(0" * 100_000 + ")" * 100_000 + "; }", ""),
        (
            "constexpr long f(long n) { long s = 0; for (long i = 0; i < n; i++) s += i; return s; }\n"
            + "".join(f"constexpr long a{n} = f({n} + (1 << 17));\n" for n in range(100)),
            "cpu timeout",
        ),
        ("template <int N> struct T { T<N + 1> next; }; int main() { T<0> t; }", "template instantiation depth"),
    ],
)  # fmt: skip
def test_the_compiler_is_bounded_and_ends_as_a_compile_error(
    cpp: Pool, program: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_job, "BUILD_LIMITS", replace(compile_job.BUILD_LIMITS, cpu_seconds=1.0))
    outcome = run(cpp, program, "")
    assert outcome.status is Status.COMPILE_ERROR and outcome.error is not None, outcome
    assert outcome.error.phase == "compile" and why in outcome.error.message
    assert outcome.cpu_seconds < 4.0


def test_a_program_finds_nothing_of_the_build_and_no_descriptor_of_ours(cpp: Pool) -> None:
    (seen,) = outputs(run(cpp, LOOK, ""))
    lines = seen.splitlines()
    assert lines[:4] == [
        "/tmp:",
        "/dev/shm:",
        "/proc/self/fd: 0 1 2 3",
        "writable: 0",
    ]  # 3: the folder itself
    assert {line.partition("=")[0] for line in lines[4:]} <= {
        *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "PWD", "HOSTNAME"),
        *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
    }


def test_other_work_than_stdio_is_refused(cpp: Pool) -> None:
    for work in (Calls((Call("f"),)), Judge(kind="script", test="")):
        with pytest.raises(ValueError, match="stdio tests only"):
            cpp.submit(Job(id="x", program=SUM, work=work, language="cpp"))


def test_where_no_compiler_can_run_it_says_so() -> None:
    with open_or_skip("confined") as pool:
        assert pool.languages == ["python"]
        with pytest.raises(ValueError, match="'cpp' is not available here, only python"):
            pool.submit(Job(id="x", program=SUM, work=Stdio(("",)), language="cpp"))
    with pytest.raises(NoBackendError, match="cannot run cpp programs.* Use docker or bubblewrap"):
        open_backend("confined", LIMITS, languages=["cpp"])


def test_bubblewrap_has_what_the_machine_has_without_being_asked() -> None:
    with open_or_skip("bubblewrap") as pool:
        assert pool.languages == ["python", *available()]
