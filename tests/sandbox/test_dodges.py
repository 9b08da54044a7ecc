"""Programs that solve nothing and dodge, and tests, generated apart: no pair passes, none is a fault of ours.

What is expected is made from numbers that no program here knows, and honest programs, which do, pass the same tests.
"""

from __future__ import annotations

from textwrap import indent
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from sandbox.pool.pool import Pool
from sandbox.protocol import Outcome, Status
from tests.sandbox.judging import judge
from tests.sandbox.pairs import Kind

# Blocks of a test, by what they need of the value that `many` gives. X are inputs, W what is expected of them, M both.
ANY = r"""
for x, w in zip(X, W): assert one(x) == w
assert all(one(x) == w for x, w in zip(X, W))
assert all([one(x) == w for x, w in zip(X, W)])
assert all(map(lambda x, w: one(x) == w, X, W))
assert not any(map(lambda x, w: one(x) != w, X, W))
assert not any(one(x) != w for x, w in zip(X, W))
assert list(map(one, X)) == W
assert not list(filter(lambda p: one(p[0]) != p[1], zip(X, W)))
assert len(list(filter(lambda p: one(p[0]) == p[1], M.items()))) == len(M)
assert sum(1 for x, w in M.items() if int(one(x)) != w) == 0
assert not any(map(lambda p: int(one(p[0])) != p[1], M.items()))
assert not any(map(lambda x: str(one(x)) != str(M[x]), X))
assert {x: one(x) for x in X} == M
assert max(map(one, X)) == max(W)
assert next((x for x, w in M.items() if one(x) != w), None) is None
for n, x in enumerate(X): assert float(one(x)) == W[n]
assert [len(sized(x)) for x in X] == [w % 99 for w in W]
assert not any(len(sized(x)) != w % 99 for x, w in M.items())
assert not any(map(lambda x, w: len(sized(x)) != w % 99, X, W))
assert len([*filter(lambda p: len(sized(p[0])) == p[1] % 99, M.items())]) == len(M)
for n, w in enumerate(W): assert len(sized(X[n])) == w % 99
for g, w in zip(many(X), W): assert g == w
assert all(g == w for g, w in zip(many(X), W))
assert all(map(operator.eq, many(X), W))
assert not any(map(operator.ne, many(X), W))
assert not [w for g, w in zip(many(X), W) if g != w]
assert [*many(X)] == W
assert sorted(many(X)) == sorted(W)
assert not set(W) ^ set(many(X))
assert sum(many(X)) == sum(W)
assert dict(zip(X, many(X))) == M
i = iter(many(X))\nfor w in W: assert next(i) == w
for rows, ws in zip(matrix(X), [W, W]):\n  for g, w in zip(rows, ws): assert g == w
r = [*matrix(X)]\nassert len(r) == 2\nassert all(g == w for n, row in enumerate(r) for g, w in zip(row, [W, W][n]))
r = matrix(X)\nassert len([*r]) == 2\nassert all(g == w for n in range(2) for g, w in zip(r[n], [W, W][n]))
r, ws = many(X), W\nassert all(g == w for g, w in zip(r, ws))
assert all(g == w for r, ws in [(many(X), W)] for g, w in zip(r, ws))
assert all(g == w for r, ws in [(many(X), W) for _ in X] for g, w in zip(r, ws))
assert all(g == w for r, ws in list(zip([many(X)], [W])) for g, w in zip(r, ws))
pairs = list(zip(matrix(X), [W, W]))\nassert all(g == w for r, ws in pairs for g, w in zip(r, ws))
pairs = []\nfor x in X: pairs.append((many(X), W))\nassert all(g == w for r, ws in pairs for g, w in zip(r, ws))
assert all(g == w for row, ws in zip(matrix(X), [W, W]) for g, w in zip(row, ws))
for row in [[*each] for each in matrix(X)] or [0]: assert row == W
d = table(X)\nfor x, w in M.items(): assert d[x] == w
d = table(X)\nassert len(d) == len(M)\nfor k, v in d.items(): assert v == M[k]
d = table(X)\nassert len(d) == len(M)\nassert all(M[k] == v for k, v in d.items())
d = table(X)\nassert len(d) == len(M)\nassert not any(M[k] != v for k, v in d.items())
d = table(X)\nassert len(d) == len(M)\nfor k in d: assert d[k] == M[k]
assert sorted(table(X).items()) == sorted(M.items())
assert sorted(table(X).values()) == sorted(W)
"""
SIZED = r"""
r = many(X)\nassert len(r) == len(W)\nfor n, v in enumerate(r): assert v == W[n]
r = many(X)\nassert len(r) == len(W)\nassert all(v == W[n] for n, v in enumerate(r))
r = many(X)\nassert len(r) == len(W)\nassert all(map(lambda v: v in W, r))
r = many(X)\nassert len(r) == len(W)\nfor n in range(len(r)): assert r[n] == W[n]
r = many(X)\nassert len(r) == len(W)\nn = 0\nwhile n < len(r):\n  assert r[n] == W[n]\n  n += 1
n = 0\nwhile n < len(W):\n  assert many(X)[n] == W[n]\n  n += 1
r = many(X)\nfor n in range(len(W)): assert r[n] == W[n]
assert all(len(many(X)) == len(W) and many(X)[n] == W[n] for n in range(len(W)))
"""
EQUAL = r"""
assert many(X) == W
assert all(many([x]) == [w] for x, w in M.items())
assert W in [many(X)]
assert matrix(X) == [W, W]
assert table(X) == M
"""
FORMS = {  # of what an honest `many` gives
    "list": ("[*map(one, xs)]", ANY + SIZED + EQUAL),
    "tuple": ("(*map(one, xs),)", ANY + SIZED),
    "object": ("Seq(map(one, xs))", ANY + SIZED),
    "generator": ("(one(x) for x in xs)", ANY),
    "iterator": ("iter([one(x) for x in xs])", ANY),
}
HONEST = """
class Seq:
    def __init__(self, items): self.items_ = list(items)
    def __len__(self): return len(self.items_)
    def __getitem__(self, n): return self.items_[n]
def one(x): return x * FACTOR + 1000
def sized(x): return "x" * (one(x) % 99)
def many(xs): return FORM
def matrix(xs): return [[*map(one, xs)] for _ in range(2)]
def table(xs): return {x: one(x) for x in xs}
"""
DODGER = """
class Stop(StopIteration): pass
class H(BASE):
    def __init__(self, *a): pass
METHODS
def one(*a): return VALUE
sized = many = matrix = table = one
"""
METHODS = (
    "len iter next getitem contains bool int float index str repr hash eq ne lt gt add radd sub rsub xor rxor "
    "reversed call getattr getattribute get enter length_hint format abs round"
).split()
NAMES = [f"__{name}__" for name in METHODS] + ["items", "keys", "values", "next", "pop", "get"]
ACTS = (
    "raise StopIteration",
    "raise Stop(1)",
    "raise StopAsyncIteration",
    "raise IndexError",
    "raise AttributeError",
    "raise KeyError",
    "return 0",
    "return 1",
    "return True",
    "return False",
    "return None",
    "return ''",
    "return 'a'",
    "return []",
    "return iter(())",
    "return self",
    "return NotImplemented",
    "return len(X_LENGTH)",
    "yield",
    "yield from ()",
)
VALUES = (
    "H()",
    "H",
    "[H()]",
    "[H() for _ in X_LENGTH]",
    "(H(), H())",
    "iter([H()])",
    "(H() for _ in X_LENGTH)",
    "{H: H()}",
    "map(H, X_LENGTH)",
    "[]",
    "{}",
    "iter(())",
    "next(iter(()))",
    "next(map(H, []))",
    "(_ for _ in ()).throw(Stop)",
    "H().next",
    "H().__len__",
)
WRAPPERS = (
    "if 1:",
    "for _ in range(2):",
    "for _ in 'ab':",
    "with contextlib.nullcontext():",
    "while X:\n BODY\n  break",
)


@st.composite
def dodgers(draw: st.DrawFn) -> str:
    acts = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ACTS), max_size=8))
    methods = "".join(f"    def {name}(self, *a): {act}\n" for name, act in acts.items())
    base = draw(st.sampled_from(["object"] * 6 + ["list", "dict", "int", "str", "tuple", "Exception"]))
    source = DODGER.replace("BASE", base).replace("METHODS", methods)
    return source.replace("VALUE", draw(st.sampled_from(VALUES))).replace("X_LENGTH", "range(3)")


@st.composite
def suites(draw: st.DrawFn) -> tuple[str, list[str]]:
    """An honest program, and blocks of a test that it passes."""
    inputs = draw(st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True))
    factor = draw(st.integers(1_000, 9_000))
    wanted = [x * factor + 1000 for x in inputs]
    form, known = FORMS[draw(st.sampled_from([*FORMS]))]
    head = f"X, W = {inputs}, {wanted}\nM = dict(zip(X, W))\n"
    blocks = draw(
        st.lists(st.sampled_from(list(filter(None, known.splitlines()))), min_size=3, max_size=5, unique=True)
    )
    blocks = [head + _wrapped(each.replace(r"\n", "\n"), draw(WRAPS)) for each in blocks]
    return HONEST.replace("FORM", form).replace("FACTOR", str(factor)), blocks


WRAPS = st.lists(st.sampled_from(WRAPPERS), max_size=2)


def _wrapped(block: str, wrappers: list[str]) -> str:
    for wrapper in wrappers:
        opening, _, closing = wrapper.partition("\n BODY")
        block = f"{opening}\n{indent(block, '  ')}{closing}"
    return block


def written(kind: Kind, blocks: list[str]) -> str:
    """A test of that kind, each block a unit of its own where there are functions."""
    head = "import contextlib, operator\n"
    if kind == "script":
        return head + "\n".join(blocks)
    if kind == "check":
        return head + "def check(one):\n" + indent("\n".join(blocks), "  ")
    head += "from solution import one, sized, many, matrix, table\n"
    functions = "".join(f"def test_{n}(*self):\n{indent(block, '  ')}\n" for n, block in enumerate(blocks))
    if kind == "pytest":
        return head + functions.replace("*self", "")
    return f"import unittest\n{head}class T(unittest.TestCase):\n{indent(functions, '  ')}"


def _assert_gains_nothing(outcome: Outcome, *, no_unit: bool = True) -> None:
    told = (
        outcome.status,
        outcome.error,
        outcome.detail,
        [(unit.name, unit.passed) for unit in outcome.tests],
    )
    assert outcome.passed is False and outcome.status is not Status.INFRA, told
    assert not outcome.detail.startswith("the test"), told
    assert not no_unit or not any(unit.passed for unit in outcome.tests), told


def _hold_against(pool: Pool, kind: Kind, suite: tuple[str, list[str]], wrong: list[str]) -> None:
    honest, blocks = suite
    test = written(kind, blocks)
    right: Any = judge(pool, honest, test, kind=kind, entry_point="one")
    assert right.passed, (right.status, right.error, right.detail)
    for program in wrong:
        # A block's first assert may be of a length alone, which counts by itself where asserts are units.
        outcome = judge(pool, program, test, kind=kind, entry_point="one")
        note(f"{program}\n{test}")
        _assert_gains_nothing(outcome, no_unit=kind in ("unittest", "pytest"))


@settings(max_examples=50)
@given(suites(), st.lists(dodgers(), min_size=2, max_size=3))
def test_no_dodger_passes_a_unit(quick_pool: Pool, suite: tuple[str, list[str]], wrong: list[str]) -> None:
    _hold_against(quick_pool, "unittest", suite, wrong)


@settings(max_examples=30)
@given(st.sampled_from(["script", "check"]), suites(), st.lists(dodgers(), min_size=2, max_size=2))
def test_no_dodger_passes_a_script_of_one_block(
    quick_pool: Pool, kind: Kind, suite: tuple[str, list[str]], wrong: list[str]
) -> None:
    _hold_against(quick_pool, kind, (suite[0], suite[1][:1]), wrong)


@settings(max_examples=6)
@given(suites(), st.lists(dodgers(), min_size=1, max_size=1))
def test_no_dodger_passes_under_pytest(
    quick_pool: Pool, suite: tuple[str, list[str]], wrong: list[str]
) -> None:
    _hold_against(quick_pool, "pytest", suite, wrong)
