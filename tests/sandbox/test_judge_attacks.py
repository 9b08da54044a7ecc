"""Programs that solve nothing and try to pass a judge's test, or to be excused. None may succeed."""

from __future__ import annotations

from textwrap import dedent

import pytest

from sandbox.protocol import Limits, Outcome, Runner, Status
from tests.sandbox.conftest import INTERPRETERS
from tests.sandbox.judging import judge

ON = INTERPRETERS

LIMITS = Limits(cpu_seconds=1.0, total_cpu_seconds=2.0, wall_seconds=20.0, scratch_bytes=16 << 20)

# The test knows three values of a function that no attack computes.
TEST = """
assert f(2) == 4
assert f([3]) == [9]
assert sorted(f({1: 2})) == ["a", "b"]
"""

ALWAYS_EQUAL = """
class Yes:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __contains__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __getattr__(self, name): return Yes()
    def __iter__(self): return iter([Yes(), Yes()])
    def __len__(self): return 2
    def __add__(self, other): return Yes()
    __radd__ = __sub__ = __rsub__ = __getitem__ = __call__ = __add__
"""

LYING_SUBCLASSES = """
class Meta(type):
    def __eq__(cls, other): return True
    __hash__ = type.__hash__
def lying(base):
    return Meta("Yes", (base,), {
        "__eq__": lambda self, other: True,
        "__ne__": lambda self, other: False,
        "__hash__": lambda self: 0,
        "__iter__": lambda self: iter("ab"),
    })
"""

# The program's side of the wire, written over: `frames` of its own are sent in place of answers.
FORGER = """
import json, os, struct, sys
def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    os.write(5, struct.pack(">I", len(body)) + body)
def take():
    size = struct.unpack(">I", os.read(5, 4))[0]
    return json.loads(os.read(5, size))
send({"re": 1, "value": None})  # the answer to `load`
"""

ATTACKS = {
    "an object equal to all": ALWAYS_EQUAL + "def f(x): return Yes()",
    "a class in place of the function": ALWAYS_EQUAL + "f = Yes",
    "a list of objects equal to all": ALWAYS_EQUAL + "def f(x): return [Yes()] * len(x) if x != 2 else Yes()",
    "the argument, changed into objects equal to all": ALWAYS_EQUAL
    + "def f(x):\n  if x == 2: return Yes()\n  x.clear()\n  return Yes()",
    "an int equal to all": LYING_SUBCLASSES + "def f(x): return lying(int)(0)",
    "a list equal to all": LYING_SUBCLASSES + "def f(x): return lying(list)([0])",
    "a str equal to all": LYING_SUBCLASSES + "def f(x): return lying(str)('x')",
    "a float equal to all": LYING_SUBCLASSES + "def f(x): return lying(float)(0)",
    "a dict equal to all": LYING_SUBCLASSES + "def f(x): return lying(dict)({0: 0})",
    "a tuple equal to all": LYING_SUBCLASSES + "def f(x): return lying(tuple)((0,))",
    "patched builtins": """
        import builtins
        builtins.sorted = lambda *a: ["a", "b"]
        builtins.AssertionError = ZeroDivisionError
        builtins.len = builtins.sum = builtins.all = lambda *a: True
        def f(x): return 0
        """,
    "patched codec": """
        import sys
        from sandbox.inside import codec, peer, serve, wire
        codec.Encoder.node = lambda self, value, depth=0: {"type": "int"}
        def f(x): return 0
        """,
    "patched json": """
        import json
        json.dumps = lambda *a, **k: '{"passed": true, "requests": 9, "units": [], "error": null}'
        def f(x): return 0
        """,
    "exit with success": "import os\ndef f(x): os._exit(0)",
    "exit at import": "import os\nos._exit(0)",
    "SystemExit": "def f(x): raise SystemExit(0)",
    "SystemExit at import": "raise SystemExit(0)",
    "KeyboardInterrupt": "def f(x): raise KeyboardInterrupt",
    "GeneratorExit": "def f(x): raise GeneratorExit",
    "AssertionError": "def f(x): raise AssertionError",
    "a subclass of AssertionError": "class E(AssertionError, ValueError): pass\ndef f(x): raise E",
    "a skip": "import unittest\ndef f(x): raise unittest.SkipTest('skip')",
    "an exception group": "def f(x): raise ExceptionGroup('x', [ValueError()])",
    "an exception that is not one": "def f(x): raise BaseException('x')",
    "StopIteration": "def f(x): raise StopIteration(4)",
    "result frames of its own": """
        import json, os, struct
        body = json.dumps({"passed": True, "requests": 3, "units": [], "error": None, "unsupported": None}).encode()
        def f(x):
            for descriptor in range(1, 20):
                try: os.write(descriptor, struct.pack(">I", len(body)) + body)
                except OSError: pass
            return 0
        """,
    "answers before the questions": FORGER
    + """
for number in range(2, 50):
    send({"re": number, "value": {"t": []}})
os._exit(0)
""",
    "two answers to each question": FORGER
    + """
while True:
    number = take()["id"]
    send({"re": number, "value": {"d": ["f", {"type": "int"}]}})
    send({"re": number, "value": 4})
""",
    "requests of no handle": FORGER
    + """
take()
send({"id": 1, "do": "call", "args": {"t": [{"t": [{"foreign": {"mine": 0}}]}, {"d": []}]}})
""",
    "requests of what was not offered": FORGER
    + """
take()
send({"id": 1, "do": "getattr", "args": {"t": [{"t": [{"type": "int"}, "__subclasses__"]}, {"d": []}]}})
""",
    "an answer that is no object": FORGER + "send([1])",
    "an answer of garbage": FORGER + "send(b'\\xff\\x00')",
    "an answer of huge length": FORGER + "os.write(5, b'\\xff\\xff\\xff\\xff')",
    "half an answer": FORGER + "os.write(5, b'\\x00\\x00\\x10\\x00{')\nos._exit(0)",
    "changes of what was not sent": FORGER
    + "number = take()['id']\nsend({'re': number, 'value': {'d': []}, 'changes': [[7, [1]], [-1, []]]})",
    "changes of malformed content": FORGER
    + "number = take()['id']\nsend({'re': number, 'value': {'d': []}, 'changes': [[0, {'set': 1}]]})",
    "changes that are no list": FORGER
    + "number = take()['id']\nsend({'re': number, 'value': 1, 'changes': 5})",
    "a class description of nonsense": FORGER
    + """
number = take()["id"]
send({"re": number, "value": {"foreign": {"h": 0, "of": {"class": 0, "name": "x", "bases": ["builtins:int"], "has": [1]}}}})
""",
    "a class that is its own base": FORGER
    + """
number = take()["id"]
inner = {"class": 0}
send({"re": number, "value": {"foreign": {"h": 0, "of": {"class": 0, "name": "x", "bases": [inner], "has": []}}}})
""",
    "a class of very many bases": FORGER
    + """
number = take()["id"]
cls = {"class": 999, "name": "x", "bases": [], "has": []}
for n in range(400):
    cls = {"class": n, "name": "x", "bases": [cls], "has": []}
send({"re": number, "value": {"foreign": {"h": 0, "of": cls}}})
""",
    "an exception of nonsense": FORGER
    + "number = take()['id']\nsend({'re': number, 'raise': {'error': 'os:system', 'args': 'x', 'text': 3}})",
    "names that are no dict": FORGER + "number = take()['id']\nsend({'re': number, 'value': 7})",
    "deep nesting": "def f(x):\n  y = []\n  for _ in range(100_000): y = [y]\n  return y",
    "a cycle": "def f(x):\n  y = []\n  y.append(y)\n  return y",
    "a value that unfolds": "def f(x):\n  y = [1]\n  for _ in range(60): y = [y, y]\n  return y",
    "a huge text": "def f(x): return 'x' * (1 << 26)",
    "a huge integer": "def f(x): return 1 << (1 << 30)",
    "an endless generator": "def f(x):\n  while True: yield 'a'",
    "an object of endless length": "class L:\n  def __len__(self): return 1 << 62\n  def __getitem__(self, i): return i\n"
    "def f(x): return L()",
    "memory": "def f(x): return [bytearray(1 << 20) for _ in range(4096)]",
    "endless": "def f(x):\n  while True: pass",
    "closed descriptors": "import os\nos.closerange(0, 50)\ndef f(x): return 0",
    "a fork that answers too": "import os\ndef f(x):\n  os.fork()\n  return 0",
    "threads that answer too": """
        import threading
        from sandbox.inside import wire
        def f(x):
            for _ in range(10):
                threading.Thread(target=lambda: wire.send(5, {"re": 3, "value": 4})).start()
            return 0
        """,
    "a module in place of itself": "import sys\nsys.modules['solution'] = type('M', (), {'f': 4})\ndef f(x): return 0",
}


def assert_not_excused(outcome: Outcome) -> None:
    assert outcome.passed is False
    assert outcome.status is not Status.INFRA, outcome.detail


@pytest.mark.parametrize("program", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_does_not_pass(pool: Runner, program: str) -> None:
    outcome = judge(pool, program, TEST, limits=LIMITS)
    assert_not_excused(outcome)
    assert not all(test.passed for test in outcome.tests) or not outcome.tests


# Tests of other shapes, each with a program made for it.
SPECIAL = {
    "`in` asks the program": (
        "class C:\n  def __contains__(self, x): return True\n  def __iter__(self): return iter(())\n"
        "def f(): return C()",
        "assert 3 in f()",
    ),
    "a difference that is always small": (
        "class D(object):\n  def __sub__(self, o): return 0.0\n  __rsub__ = __abs__ = __sub__\ndef f(): return D()",
        "assert abs(f() - 3.5) < 1e-6",
    ),
    "a reflected operator of the program's": (
        "class D:\n  def __radd__(self, o): return o + 'b'\n  def __eq__(self, o): return True\ndef f(): return D()",
        "assert 'a' + f() == 'ab'",
    ),
    "two objects that call themselves equal": (
        "class Y:\n  def __eq__(self, o): return True\ndef f(x): return Y()",
        "assert f(1) == f(2)",
    ),
    "the test swallows every exception": (
        "class Y:\n  def __eq__(self, o): return True\ndef f(x): return Y()",
        "try:\n  assert f(1) == 1\nexcept BaseException:\n  pass\nassert True",
    ),
    "the test expects any exception": (
        "def f(x): raise KeyboardInterrupt",
        "try:\n  f(1)\nexcept BaseException:\n  pass\nelse:\n  assert False\nassert True",
    ),
    "an expected AssertionError": (
        "def f(x): assert False",
        "try:\n  f(1)\n  assert False, 'must raise'\nexcept AssertionError:\n  pass\nassert True",
    ),
    "is not None": ("def f(x): raise SystemExit", "assert f(1) is not None"),
    "a callback called a million times": (
        "def f(g):\n  while True: g(1)",
        "assert f(lambda x: x) == 3",
    ),
    "a callback called with what it cannot take": (
        "def f(g): return g(object(), f, int, [])",
        "assert f(lambda x: x + 1) == 3",
    ),
    "a callback whose code is read": (
        "def f(g): return g.__code__.co_consts[1] if hasattr(g, '__code__') else g.__globals__",
        "assert f(lambda: 'secret') == 'secret'",
    ),
    "a callback recursing without end": (
        "def f(g): return g(f, g)",
        "assert f(lambda f, g: f(g)) == 3",
    ),
    "an AssertionError's text": (
        """
        def f(g):
            try: g(1)
            except AssertionError as error: return error.args[0]
        """,
        "def g(x):\n  assert x == 42, 42\nassert f(g) == 42",
    ),
    "the caller's frames": (
        """
        import re, sys
        def f(x):
            frame = sys._getframe()
            while frame:
                for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
                    if found := re.search("hidde[n]-[0-9]+", repr(value)): return found[0]
                frame = frame.f_back
        """,
        "assert f(1) == 'hidden-71'",
    ),
    "a name of the test's own": (
        "def f(x): return 0\ndef expected(): return 0\nsorted = lambda x: 0",
        "def expected(): return 5\nassert f(1) == expected()",
    ),
    "a builtin that the program redefines": (
        "def f(x): return x\ndef sorted(x): return x",
        "assert f([2, 1]) == sorted([2, 1])",
    ),
    "names that were not asked for": (
        FORGER
        + """
number = take()["id"]
zero = {"foreign": {"h": 0, "of": {"class": 1, "name": "Zero", "bases": [], "has": ["__call__"]}}}
send({"re": number, "value": {"d": ["f", zero, "abs", zero, "__coderl_record__", zero, "__builtins__", zero]}})
while True:
    send({"re": take()["id"], "value": 0.0})
""",
        "assert abs(f(2) - 4.5) < 1e-6",
    ),
    "a module that the test leaves to it": (
        "class math:\n  isclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0",
        "assert math.isclose(f(2), 4.5)",
    ),
    "numpy that the test leaves to it": (
        "class np:\n  allclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0",
        "assert np.allclose(f(2), 4.5)",
    ),
    "a class of Python's that the test leaves to it": (
        "class Counter:\n  def __init__(self, *a): pass\n  def __eq__(self, o): return True\ndef f(x): return 'x'",
        "assert Counter(f(2)) == Counter([4, 5])",
    ),
    "the end of somebody else's iteration": (
        "def f(x): raise StopIteration",
        "assert True\nassert all(map(f, [1, 2]))\nfor got, want in zip(map(f, [1]), [3]):\n  assert got == want",
    ),
    "a context manager that swallows the assert": (
        "class C:\n  def __enter__(self): return 3\n  def __exit__(self, *a): return True\ndef f(x): return C()",
        "with f(1) as value:\n  assert value == 4",
    ),
    "a context manager that keeps the assert from being made": (
        "class C:\n  def __enter__(self): return 3\n  def __exit__(self, *a): return True\ndef f(x): return C()",
        "assert f(1)\nwith f(1) as value:\n  more = value.more\n  assert more == 4",
    ),
    "a context manager that swallows an exception of its own": (
        "class C:\n  def __enter__(self): return self\n  def __exit__(self, *a): return True\n  def get(self): raise ValueError\ndef f(x): return C()",
        "assert f(1)\nwith f(1) as it:\n  assert it.get() == 4",
    ),
    "a context manager that swallows an exception of Python's": (
        "class C:\n  def __enter__(self): return '{'\n  def __exit__(self, *a): return True\ndef f(x): return C()",
        "import json\nassert f(1)\nwith f(1) as it:\n  assert json.loads(it) == 4",
    ),
    "`in` asks a Solution": (
        "class Solution:\n  def f(self, x): return self\n  def __contains__(self, x): return True",
        "assert 3 in Solution().f(2)",
    ),
    "Solutions that call themselves equal": (
        "class Solution:\n  def f(self, x): return self\n  def __eq__(self, x): return True",
        "assert Solution().f(2) == Solution().f(3)",
    ),
    "no asserts at all": ("def f(x): return 0", "f(1)"),
    "an assert that is never reached": ("def f(x): return []", "for x in f(1):\n  assert x == 1"),
    "an empty test function by return": ("def f(x): return None", "if f(1):\n  assert f(2) == 3"),
}


@pytest.mark.parametrize(("program", "test"), SPECIAL.values(), ids=SPECIAL)
def test_an_attack_made_for_its_test_does_not_pass(pool: Runner, program: str, test: str) -> None:
    assert_not_excused(judge(pool, program, test, limits=LIMITS))


PROMPT = '''
def encode(s):
    """Shifts by five."""
    return "".join(chr((ord(c) + 5 - 97) % 26 + 97) for c in s)


def decode(s):
    """Undoes encode."""
'''
ROUND_TRIP = """
def check(candidate):
    for text in ("abc", "hello", "xyz"):
        assert candidate(encode(text)) == text
"""


def test_helpers_of_the_prompt_are_the_judges(pool: Runner) -> None:
    forged = "def encode(s): return s\ndef decode(s): return s\n"
    outcome = judge(pool, forged, ROUND_TRIP, kind="check", entry_point="decode", prompt=PROMPT)
    assert_not_excused(outcome)
    honest = forged + "def decode(s): return ''.join(chr((ord(c) - 5 - 97) % 26 + 97) for c in s)"
    assert judge(pool, honest, ROUND_TRIP, kind="check", entry_point="decode", prompt=PROMPT).passed
    imported = "from solution import encode, decode\ndef test():\n    assert decode(encode('abc')) == 'abc'\n"
    outcome = judge(pool, forged, imported, kind="pytest", entry_point="decode", prompt=PROMPT)
    assert_not_excused(outcome)


@pytest.mark.parametrize("kind", ["unittest", "pytest"])
@pytest.mark.parametrize(
    "raised",
    ["unittest.case._ShouldStop", "type('E', (unittest.case._ShouldStop,), {})", "unittest.SkipTest('x')"],
)
def test_a_test_runner_is_not_told_its_own_secrets(pool: Runner, kind: str, raised: str) -> None:
    """unittest takes `_ShouldStop` for a failure that it knows of already, and so for none."""
    test = "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n  def test(self):\n    self.assertEqual(f(1), 3)"
    outcome = judge(pool, f"import unittest.case\ndef f(x): raise {raised}", test, kind=kind)  # type: ignore[arg-type]
    assert_not_excused(outcome)


@pytest.mark.parametrize("kind", ["unittest", "pytest"])
@pytest.mark.parametrize(
    "body", ["raise SystemExit(0)", "import unittest; raise unittest.SkipTest('x')", "import os; os._exit(0)"]
)
def test_a_test_runner_is_not_talked_into_a_pass(pool: Runner, kind: str, body: str) -> None:
    test = {
        "unittest": """
            import unittest
            class Tests(unittest.TestCase):
                def test_it(self):
                    f(1)
            """,
        "pytest": "from solution import f\ndef test_it():\n    f(1)\n",
    }[kind]
    assert_not_excused(judge(pool, f"def f(x):\n    {body}\n", test, kind=kind))  # type: ignore[arg-type]


SCAN = """
    import re
    import ctypes
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: its memory is its own to read
    PATTERN = re.compile(b"4[2]47-judge-[a-z]+")
    def f(g):
        g(1)
        found = []
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps:
                low, high = (int(number, 16) for number in line.split()[0].split("-"))
                try:
                    memory.seek(low)
                    found += PATTERN.findall(memory.read(high - low))
                except (OSError, ValueError, OverflowError): continue
        return len(found)
    """


def test_a_test_is_nowhere_in_the_programs_memory(pool: Runner) -> None:
    """Neither this test's nor the one's before; the program reads all of its process, and asks a callback."""
    for secret in ("4247-judge-before", "4247-judge-now"):
        test = f"""
            g = lambda x: x == "{secret}"
            assert f(g) == 0, "{secret}"
            """
        outcome = judge(pool, SCAN, test)
        assert outcome.passed, outcome
    found = judge(pool, SCAN + "KEPT = '4247-judge-' + 'before'.lower()\n", "assert f(lambda x: x) > 0")
    assert found.passed, "the scan finds what is there"


def test_a_forged_result_of_the_programs_values_is_only_a_value(pool: Runner) -> None:
    """What a hostile program may do: return what a right one would. Nothing else makes a pass."""
    assert judge(pool, "def f(x): return {2: 4}.get(x)", "assert f(2) == 4").passed
    outcome = judge(pool, "def f(x): return {2: 4}.get(x)", "assert f(2) == 4\nassert f(3) == 9")
    assert outcome.passed is False
    assert [test.passed for test in outcome.tests] == [True, False]


def test_a_program_that_kills_its_process_costs_no_one_else_anything(pool: Runner) -> None:
    for _ in range(4):
        assert_not_excused(judge(pool, "import os\ndef f(x): os.kill(-1, 9)", TEST, limits=LIMITS))
    assert judge(pool, "def f(x): return x", "assert f(1) == 1").passed


def test_the_sources_here_are_programs() -> None:
    for program in [*ATTACKS.values(), *(program for program, _ in SPECIAL.values())]:
        compile(dedent(program), "<attack>", "exec")
