"""Tests that share an environment with the program: files, mocks, standard streams, logs, coroutines."""

from __future__ import annotations

import pytest

from sandbox.inside.bridge import shared_files
from sandbox.jobs.shares import shares
from sandbox.protocol import Outcome, Runner, Status
from tests.sandbox.environment_cases import GROUPS, Case
from tests.sandbox.judging import judge


def run(pool: Runner, case: Case, program: str) -> Outcome:
    entry_point = "task_func" if case.kind == "unittest" else None
    return judge(pool, program, case.test, kind=case.kind, entry_point=entry_point)


@pytest.mark.parametrize("group", GROUPS)
def test_right_programs_pass(pool: Runner, group: str) -> None:
    outcomes = {name: run(pool, case, case.right) for name, case in GROUPS[group].items()}
    assert {name: outcome.error for name, outcome in outcomes.items() if not outcome.passed} == {}


@pytest.mark.parametrize("group", GROUPS)
def test_their_wrong_neighbours_fail(quick_pool: Runner, group: str) -> None:
    outcomes = {name: run(quick_pool, case, case.wrong) for name, case in GROUPS[group].items()}
    assert {
        name: outcome.detail for name, outcome in outcomes.items() if outcome.passed or outcome.detail
    } == {}
    assert Status.INFRA not in {outcome.status for outcome in outcomes.values()}


def test_a_test_that_names_none_of_it_shares_nothing() -> None:
    assert shares("from solution import f\n\ndef test_it():\n    assert f([1, 'x']) == {2: 'open'}\n") == [
        "files"
    ]
    assert shares("import math\n\ndef test_it():\n    x = math.pi\n    assert f(x).y == 2\n") == []
    assert shares("import time\n\ndef test_it():\n    time.sleep = print\n") == ["patches"]


FILES_TEST = """
    import os
    from solution import f
    def test_it(tmp_path):
        f(str(tmp_path))
        assert sorted(os.listdir(tmp_path)) == ["made"]
    """

# Programs that write what must not reach their test: none passes, and none is a fault of ours.
BAD_FILES = {
    "a module": "open(p + '/numbers.py', 'w').write('x')",
    "a module of another case": "open(p + '/numbers.PY', 'w').write('x')",
    "a module in a folder": "os.mkdir(p + '/made'); open(p + '/made/__init__.py', 'w').write('x')",
    "conftest.py in the current folder": "open('conftest.py', 'w').write('x')",
    "pytest's configuration": "open('pytest.ini', 'w').write('[pytest]')",
    "a library": "open(p + '/made.so', 'wb').write(b'x')",
    "many files": "[open(f'{p}/{n}', 'w').close() for n in range(3000)]",
    "large files": "open(p + '/made', 'wb').write(bytes(9 << 20))",
    "folders in folders": "os.makedirs(p + '/made' + '/x' * 60)",
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_files_that_may_not_cross_are_the_programs_failure(quick_pool: Runner, what: str) -> None:
    program = f"import os\ndef f(p):\n    open(p + '/made', 'w').close() if 'made' not in {BAD_FILES[what]!r} else 0\n"
    outcome = judge(quick_pool, f"{program}    {BAD_FILES[what]}\n", FILES_TEST, kind="pytest")
    assert outcome.passed is False and outcome.status is not Status.INFRA
    assert outcome.error is not None and outcome.error.type in ("UnsafeFile", "BrokenProtocol"), outcome.error


# Changes of the environment that a program sends in place of its own peer: (part, node of the change).
FORGED = {
    "a name above the folder": '{"files": [["../x", "file", 420, 0, {"bytes": ""}]]}',
    "an absolute name": '{"files": [["/etc/x", "file", 420, 0, {"bytes": ""}]]}',
    "a link": '{"files": [["x", "link", 0, 0, "/etc"]]}',
    "no names": '{"files": 3}',
    "a mode out of range": '{"files": [["x", "file", 99999, 0, {"bytes": ""}]]}',
    "a time out of range": '{"files": [["x", "file", 420, {"int": "0xfffffffffffffffffffffff"}, {"bytes": ""}]]}',
    "content that is no bytes": '{"files": [["x", "file", 420, 0, "text"]]}',
    "a part that is not shared": '{"stdin": []}',
    "a variable that is no text": '{"environ": {"d": ["A", 3]}}',
    "a variable's name": '{"environ": {"d": ["A=B", "x"]}}',
    "random numbers": '{"random": {"d": ["random", 3]}}',
    "patches": '{"patches": [["builtins", "", "len", "set", 3]]}',
    "log records of other types": '{"logging": [["a", "b", 3, [], {}, 1]]}',
    "an enormous level": '{"logging": [["", {"int": "0x' + "f" * 9000 + '"}, "x", "f", 1, null]]}',
    "warnings that are none": '{"warnings": [{"t": [3, 4]}]}',
    "no dictionary": "7",
}

FORGER = """
import json, os, struct
def send(message):
    body = json.dumps(message).encode()
    os.write(5, struct.pack(">I", len(body)) + body)
def take():
    size = struct.unpack(">I", os.read(5, 4))[0]
    data = b""
    while len(data) < size: data += os.read(5, size - len(data))
    return json.loads(data)
function = {"class": 0, "name": "function", "bases": [], "has": ["__call__"]}
names = {"d": ["f", {"foreign": {"h": 1, "of": function}}]}
SHARED = {"value": json.loads(%r), "fields": []}
send({"re": 1, "value": {"t": [None, names]}})
while True:
    message = take()
    value = names if message["do"] == "names" else 1
    send({"re": message["id"], "value": value, "shared": SHARED})
"""

ALL_SHARED = """
    import logging, os, random, sys, time, warnings
    from solution import f
    def test_it(tmp_path, monkeypatch, caplog):
        random.seed(1)
        monkeypatch.setattr(time, "sleep", len)
        os.environ["X"] = "1"
        warnings.simplefilter("always")
        assert f(1) == 1
    """


def forged(change: str) -> str:
    text = change if not change.startswith("{") else '{"d": [' + change[1:-1].replace(": ", ", ", 1) + "]}"
    return FORGER % text


@pytest.mark.parametrize("what", FORGED)
def test_forged_changes_are_the_programs_failure(quick_pool: Runner, what: str) -> None:
    outcome = judge(quick_pool, forged(FORGED[what]), ALL_SHARED, kind="pytest")
    assert outcome.passed is False and outcome.status is not Status.INFRA
    assert outcome.error is not None and outcome.error.type in ("UnsafeFile", "BrokenProtocol"), outcome.error


def test_a_forger_that_sends_no_more_than_it_may_is_heard(quick_pool: Runner) -> None:
    """So the others failed for what they sent."""
    outcome = judge(quick_pool, forged('{"environ": {"d": ["A", "x"]}}'), ALL_SHARED, kind="pytest")
    assert outcome.passed, outcome


MOCKED = """
    from unittest.mock import MagicMock, patch
    from solution import f
    def test_it():
        client = MagicMock()
        client.get.return_value = 41
        client.secret.return_value = 42
        with patch("time.sleep") as sleep:
            got = f(client)
        client.get.assert_called_once_with("k")
        assert sleep.call_args[0] == (5,)
        assert got == 42
    """
HONEST = "import time\ndef f(c):\n    x = c.get('k')\n    time.sleep(5)\n    return x + 1\n"

# Programs that know the interface of mocks, and use it in place of what they are asked for.
MOCK_ATTACKS = {
    "return_value": "def f(c): return c.secret.return_value",
    "side_effect": "def f(c): c.get.side_effect = None",
    "call_args": "def f(c): return c.get.call_args",
    "an assertion replaced": "def f(c):\n    c.get.assert_called_once_with = lambda *a: None\n    return 42",
    "an attribute replaced by an object": "class Y:\n    def assert_called_once_with(self, *a): pass\n"
    "def f(c):\n    c.get = Y()\n    return 42",
    "in a list": "class Y: pass\ndef f(c):\n    c.get = [Y()]\n    return 42",
    "a private name": "def f(c): return c._mock_children",
    "the class": "def f(c): return c.__class__.__init__.__globals__['x']",
    "configure_mock": "def f(c): c.configure_mock(**{'get.return_value': 1})",
    "a call with an object equal to all": "class Y:\n    def __eq__(self, other): return True\n"
    "import time\ndef f(c):\n    c.get(Y())\n    time.sleep(Y())\n    return 42",
    "calls after the patch ended": "import time\nkept = []\ndef f(c):\n    kept.append(time.sleep)\n    kept[0](4)\n"
    "    c.get('k')\n    return 42",
    "an operation of its own": "def f(c): return c._coderl_request('use', (c, '__class__'))",
    "getattr, asked for directly": "def f(c): return type(c)._coderl_request and c._coderl_request("
    "'use', (c, 'getattr', 'return_value'))",
}


def test_the_honest_use_of_these_mocks_passes(quick_pool: Runner) -> None:
    outcome = judge(quick_pool, HONEST, MOCKED, kind="pytest")
    assert outcome.passed, outcome


@pytest.mark.parametrize("what", MOCK_ATTACKS)
def test_a_mock_gives_no_more_than_what_it_stands_for(quick_pool: Runner, what: str) -> None:
    outcome = judge(quick_pool, MOCK_ATTACKS[what], MOCKED, kind="pytest")
    assert outcome.passed is False and outcome.status is not Status.INFRA, outcome


ATTACKS = {
    "a failed assert in a function of the test, swallowed": (
        "def f(g):\n    try: g(1)\n    except BaseException: pass\n    return 1",
        """
        from solution import f
        def test_it():
            def check(x):
                assert x == 2
            assert f(check) == 1
        """,
    ),
    "the same in a side effect": (
        "import time\ndef f():\n    try: time.sleep(1)\n    except Exception: pass\n    return 1",
        """
        from unittest.mock import patch
        from solution import f
        def check(x):
            assert x == 2
        def test_it():
            with patch("time.sleep", side_effect=check):
                assert f() == 1
        """,
    ),
    "a skip, raised": (
        "import unittest\ndef f(x): raise unittest.SkipTest('no')",
        "from solution import f\ndef test_a():\n    assert f(1) == 2\ndef test_b():\n    assert 1\n",
    ),
    "a skip, decided by the program": (
        "def f(x): return x + 1\ndef ready(): return False",
        """
        import pytest
        from solution import f, ready
        def test_a():
            assert f(1) == 2
        def test_b():
            if not ready():
                pytest.skip("not ready")
            assert f(1) == 3
        """,
    ),
    "a skipif, decided by the program": (
        "def f(x): return x + 1\nVERSION = 1",
        """
        import pytest
        from solution import f, VERSION
        def test_a():
            assert f(1) == 2
        @pytest.mark.skipif(VERSION < 2, reason="old")
        def test_b():
            assert f(1) == 3
        """,
    ),
    "a skipif for a name that is missing": (
        "def f(x): return x + 1",
        """
        import pytest
        import solution
        def test_a():
            assert solution.f(1) == 2
        @pytest.mark.skipif(not hasattr(solution, "g"), reason="no g")
        def test_b():
            assert solution.g(1) == 3
        """,
    ),
    "nothing but skips": (
        "def f(x): return x",
        "import pytest\nfrom solution import f\n@pytest.mark.skip\ndef test_a():\n    assert f(1) == 2\n",
    ),
    "random numbers chosen for the test": (
        "import random\nrandom.seed = lambda *a: None\ndef f(xs):\n    random.setstate(STATE)\n    return [0] * len(xs)\n"
        "STATE = (3, (0,) * 624 + (624,), None)",
        """
        import random
        from solution import f
        def test_it():
            random.seed(3)
            f([1])
            xs = [random.randint(0, 9) for _ in range(5)]
            assert f(xs) == [x * 2 for x in xs]
        """,
    ),
    "a pickle that runs": (
        "class P:\n    def __reduce__(self): return exec, ('import sandbox.inside.judge.seen as r; 1/0',)\n"
        "import pickle\ndef f(p): pickle.dump(P(), open(p, 'wb'))",
        """
        import pickle, pytest
        from solution import f
        def test_it(tmp_path):
            f(str(tmp_path / "o"))
            try:
                pickle.load(open(tmp_path / "o", "rb"))
            except ZeroDivisionError:
                return
        """,
    ),
    "a million lines": (
        "def f():\n    for n in range(10 ** 6): print('x' * 100)\n    return 1",
        "from solution import f\ndef test_it(capsys):\n    for _ in range(50):\n        assert f() == 1\n",
    ),
}


@pytest.mark.parametrize("what", ATTACKS)
def test_programs_that_turn_the_environment_against_their_test_fail(quick_pool: Runner, what: str) -> None:
    program, test = ATTACKS[what]
    outcome = judge(quick_pool, program, test, kind="pytest")
    assert outcome.passed is False and outcome.status is not Status.INFRA, outcome


def test_the_database_that_a_test_lends_reaches_no_file(quick_pool: Runner) -> None:
    test = """
        import sqlite3
        from solution import f
        def test_it():
            db = sqlite3.connect(":memory:")
            assert f(db) == "denied"
            db.execute("ATTACH ':memory:' AS own")
        """
    program = """
        import sqlite3
        def f(db):
            try: db.execute("ATTACH '/tmp/x.db' AS other")
            except sqlite3.DatabaseError: return "denied"
        """
    outcome = judge(quick_pool, program, test, kind="pytest")
    assert outcome.passed, outcome


def test_the_program_learns_no_parameter_and_no_name_of_a_test(pool: Runner) -> None:
    program = """
        import os
        def f(p, x):
            text = p + repr(dict(os.environ)) + repr([names for names in os.walk("/tmp")])
            if "424242" in text or "test_secret" in text: return "seen"
            return 424242
        """
    test = """
        import os, pytest
        from solution import f
        @pytest.mark.parametrize("x, expected", [(1, 424242)])
        def test_secret(tmp_path, x, expected):
            os.environ["SOME"] = "x"
            assert f(str(tmp_path), x) == expected
        """
    outcome = judge(pool, program, test, kind="pytest")
    assert outcome.passed, outcome


def test_a_file_whose_name_is_hidden_stays(tmp_path: object) -> None:
    files = shared_files.Files(str(tmp_path), trusts=False, hidden=frozenset({"a/test_file.py"}))
    with pytest.raises(shared_files.UnsafeFile):
        files.apply([["a/test_file.py", "file", 0o600, 0, b""]])
    assert files.collect() == []
