"""Small tasks in the shapes of public data sets, each with a right program and a wrong neighbour of it."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Literal, NamedTuple

Kind = Literal["script", "check", "unittest", "pytest"]


class Pair(NamedTuple):
    kind: Kind
    test: str
    right: str
    wrong: str
    entry_point: str | None = None
    prompt: str = ""


def _pytest(body: str, right: str, wrong: str, names: str = "f", header: str = "") -> Pair:
    """KodCode: a pytest file that imports the program as `solution`."""
    test = f"from solution import {names}\n{header}\ndef test_it():\n{indent(dedent(body), '    ')}\n"
    return Pair("pytest", test, right, wrong, "f" if names == "f" else None)


def _unittest(body: str, right: str, wrong: str, header: str = "") -> Pair:
    """BigCodeBench: unittest around `task_func`."""
    test = f"import unittest\n{header}\nclass TestCases(unittest.TestCase):\n  def test_it(self):\n{indent(dedent(body), '    ')}\n"
    return Pair("unittest", test, right, wrong, "task_func")


def _asserts(test: str, right: str, wrong: str, prompt: str = "") -> Pair:
    """AceCode: a list of asserts."""
    return Pair("script", dedent(test), right, wrong, None, prompt)


NODES = """
from typing import *
from math import inf
class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next
class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right
def list_node(values):
    head = None
    for v in reversed(values): head = ListNode(v, head)
    return head
def is_same_list(p, q):
    while p and q:
        if p.val != q.val: return False
        p, q = p.next, q.next
    return p is None and q is None
def tree_node(values):
    if not values: return None
    root = TreeNode(values[0]); i = 1; queue = [root]
    while i < len(values):
        node = queue.pop(0)
        for side in ("left", "right"):
            if i < len(values):
                if values[i] is not None:
                    setattr(node, side, TreeNode(values[i])); queue.append(getattr(node, side))
                i += 1
    return root
def is_same_tree(p, q):
    if not p or not q: return not p and not q
    return p.val == q.val and is_same_tree(p.left, q.left) and is_same_tree(p.right, q.right)
"""


def _leetcode(call: str, right: str, wrong: str) -> Pair:
    """LeetCodeDataset: `check(candidate)`, a method, and a context of nodes."""
    test = "def check(candidate):\n" + indent(dedent(call), "    ")
    method = "class Solution:\n{}"
    context = NODES + "\n"
    return Pair(
        "check",
        test,
        context + method.format(indent(dedent(right), "    ")),
        context + method.format(indent(dedent(wrong), "    ")),
        "Solution.g",
        NODES,
    )


def _exercise(body: str, right: str, wrong: str, names: str, header: str = "") -> Pair:
    """Class exercises: a unittest file that imports a class."""
    test = f"import unittest\nfrom solution import {names}\n{header}\nclass Test(unittest.TestCase):\n  def test_it(self):\n{indent(dedent(body), '    ')}\n"
    return Pair("unittest", test, dedent(right), dedent(wrong))


def _swap(right: str, old: str, new: str) -> tuple[str, str]:
    right = dedent(right)
    assert old in right, old
    return right, right.replace(old, new)


VECTOR = """
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, other): return Vector(self.x + other.x, self.y + other.y)
    def __mul__(self, k):
        if not isinstance(k, (int, float)): return NotImplemented
        return Vector(self.x * k, self.y * k)
    __rmul__ = __mul__
    def __radd__(self, other): return self if other == 0 else NotImplemented
    def __neg__(self): return Vector(-self.x, -self.y)
    def __eq__(self, other): return isinstance(other, Vector) and (self.x, self.y) == (other.x, other.y)
    def __hash__(self): return hash((self.x, self.y))
    def __abs__(self): return (self.x ** 2 + self.y ** 2) ** 0.5
    def __repr__(self): return f"Vector({self.x}, {self.y})"
    def __iter__(self): return iter((self.x, self.y))
    def __bool__(self): return bool(self.x or self.y)
"""
SHAPES = """
from abc import ABC, abstractmethod
class Shape(ABC):
    @abstractmethod
    def area(self): ...
    def double(self): return 2 * self.area()
class Square(Shape):
    def __init__(self, side): self.side = side
    def area(self): return self.side ** 2
"""
COLOUR = """
from enum import Enum
class Colour(Enum):
    RED = 1
    BLUE = 2
    @property
    def next(self): return Colour(self.value % 2 + 1)
def f(x): return Colour(x)
"""
BANK = """
class InsufficientFunds(Exception):
    def __init__(self, missing):
        super().__init__(f"missing {missing}")
        self.missing = missing
class Account:
    _count = 0
    def __init__(self): self._balance = 0; Account._count += 1
    @property
    def balance(self): return self._balance
    def deposit(self, amount):
        if amount <= 0: raise ValueError("amount must be positive")
        self._balance += amount
        return self
    def withdraw(self, amount):
        if amount > self._balance: raise InsufficientFunds(amount - self._balance)
        self._balance -= amount
    @classmethod
    def count(cls): return cls._count
    @staticmethod
    def currency(): return "EUR"
"""
MATRIX = """
class Matrix(list):
    def __matmul__(self, other): return Matrix([[sum(a * b for a, b in zip(r, c)) for c in zip(*other)] for r in self])
    def transpose(self): return Matrix(map(list, zip(*self)))
    @property
    def shape(self): return (len(self), len(self[0]))
"""
DATES = "from datetime import date, datetime, timedelta, timezone\n"
PANDAS = "import pandas as pd\n"
NUMPY = "import numpy as np\n"

PAIRS: dict[str, Pair] = {
    # KodCode
    "days between": _pytest(
        "assert f(date(2024, 2, 28), date(2024, 3, 1)) == timedelta(days=2)",
        *_swap("def f(a, b): return b - a", "b - a", "a - b"),
        header=DATES,
    ),
    "next month": _pytest(
        "assert f(datetime(2024, 12, 5, 1, tzinfo=timezone.utc)) == datetime(2025, 1, 5, 1, tzinfo=timezone.utc)",
        *_swap(
            "def f(d): return d.replace(year=d.year + d.month // 12, month=d.month % 12 + 1)",
            " + d.month // 12",
            "",
        ),
        header=DATES,
    ),
    "decimal total": _pytest(
        "assert f([Decimal('0.10'), Decimal('0.20')]) == Decimal('0.30')\nassert str(f([Decimal('1.10')])) == '1.10'",
        *_swap(
            "from decimal import Decimal\ndef f(xs): return sum(xs, Decimal(0))",
            "sum(xs, Decimal(0))",
            "float(sum(xs))",
        ),
        header="from decimal import Decimal",
    ),
    "fraction": _pytest(
        "assert f(1, 3) + Fraction(1, 6) == Fraction(1, 2)",
        *_swap(
            "from fractions import Fraction\ndef f(a, b): return Fraction(a, b)",
            "Fraction(a, b)",
            "Fraction(b, a)",
        ),
        header="from fractions import Fraction",
    ),
    "rotated deque": _pytest(
        "d = deque([1, 2, 3], maxlen=3)\nf(d)\nassert d == deque([3, 1, 2]) and d.maxlen == 3",
        *_swap("def f(d): d.rotate(1)", "rotate(1)", "rotate(-1)"),
        header="from collections import deque",
    ),
    "counter": _pytest(
        "assert f('aab') == Counter('aab') and f('aab').most_common(1) == [('a', 2)] and f('')['z'] == 0",
        *_swap(
            "from collections import Counter\ndef f(s): return Counter(s)", "Counter(s)", "Counter(set(s))"
        ),
        header="from collections import Counter",
    ),
    "ordered": _pytest(
        "got = f({'b': 1, 'a': 2})\nassert isinstance(got, OrderedDict) and list(got) == ['a', 'b']",
        *_swap(
            "from collections import OrderedDict\ndef f(d): return OrderedDict(sorted(d.items()))",
            "sorted(d.items())",
            "d",
        ),
        header="from collections import OrderedDict",
    ),
    "grouped": _pytest(
        "got = f(['ab', 'a'])\nassert got == {'a': ['ab', 'a']}\ngot['new'].append(1)\nassert got['new'] == [1]",
        *_swap(
            "from collections import defaultdict\ndef f(ws):\n d = defaultdict(list)\n for w in ws: d[w[0]].append(w)\n return d",
            "return d",
            "return dict(d)",
        ),
    ),
    "named tuple": _pytest(
        "p = f(1, 2)\nassert p == (1, 2) and p.x == 1 and p._replace(x=5).x == 5 and p._asdict() == {'x': 1, 'y': 2}",
        *_swap(
            "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(a, b): return P(a, b)",
            "P(a, b)",
            "P(b, a)",
        ),
    ),
    "the test's named tuple": _pytest(
        "assert f(P(3, 4)) == 5.0",
        *_swap("def f(p): return (p.x ** 2 + p.y ** 2) ** 0.5", "p.y ** 2", "p.y"),
        header="from collections import namedtuple\nP = namedtuple('P', 'x y')",
    ),
    "generator type": _pytest(
        "assert isinstance(f(3), types.GeneratorType) and list(f(3)) == [0, 1, 2]",
        "def f(n):\n    for i in range(n): yield i",
        "def f(n): return list(range(n))",
        header="import types",
    ),
    "memoize": _pytest(
        "calls = []\n@f\ndef square(x):\n    'Squares.'\n    calls.append(x)\n    return x * x\n"
        "assert square(3) == square(3) == 9 and calls == [3]\nassert (square.__name__, square.__doc__) == ('square', 'Squares.')",
        *_swap(
            "import functools\ndef f(g):\n kept = {}\n @functools.wraps(g)\n def w(*a):\n  if a not in kept: kept[a] = g(*a)\n  return kept[a]\n return w",
            "if a not in kept: ",
            "",
        ),
    ),
    "curry": _pytest(
        "assert f(lambda a, b, c: a + b + c)(1)(2)(3) == 6",
        *_swap(
            "import inspect\ndef f(g):\n n = len(inspect.signature(g).parameters)\n def step(*a): return g(*a) if len(a) >= n else lambda *b: step(*a, *b)\n return step",
            ">= n",
            "> n",
        ),
    ),
    "signature": _pytest(
        "assert list(inspect.signature(f).parameters) == ['a', 'b'] and f.__doc__ and f(a=1) == 3",
        *_swap("def f(a, b=2):\n    'Adds.'\n    return a + b", "    'Adds.'\n", ""),
        header="import inspect",
    ),
    "path": _pytest(
        "assert f(Path('/a/b.txt')) == Path('/a/b.md')",
        *_swap("def f(p): return p.with_suffix('.md')", "with_suffix('.md')", "with_name('md')"),
        header="from pathlib import Path",
    ),
    "uuid": _pytest(
        "assert f('a') == uuid.uuid5(uuid.NAMESPACE_DNS, 'a')",
        *_swap("import uuid\ndef f(s): return uuid.uuid5(uuid.NAMESPACE_DNS, s)", "uuid5", "uuid3"),
        header="import uuid",
    ),
    "stream": _pytest(
        "out = io.StringIO()\nf(io.StringIO('a\\nb\\n'), out)\nassert out.getvalue() == 'A\\nB\\n'",
        *_swap("def f(source, target):\n    for line in source: target.write(line.upper())", ".upper()", ""),
        header="import io",
    ),
    "array in place": _pytest(
        "a = np.array([3.0, 1.0, 2.0])\nf(a)\nassert a.tolist() == [1.0, 2.0, 3.0]",
        *_swap("def f(a): a.sort()", "a.sort()", "sorted(a)"),
        header=NUMPY,
    ),
    "array module": _pytest(
        "assert f([1, 2]) == array('i', [1, 4])",
        *_swap(
            "from array import array\ndef f(xs): return array('i', (x * x for x in xs))", "x * x", "x + x + 1"
        ),
        header="from array import array",
    ),
    "dataclass": _pytest(
        "assert f(1) == P(1) and asdict(f(1)) == {'x': 1, 'tags': []} and is_dataclass(P)",
        *_swap(
            "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    x: int\n    tags: list = field(default_factory=list)\ndef f(a): return P(a)",
            "return P(a)",
            "return P(a, [a])",
        ),
        names="f, P",
        header="from dataclasses import asdict, is_dataclass",
    ),
    "enum": _pytest(
        "assert f(1) is Colour.RED and Colour.RED.next is Colour.BLUE and [c.name for c in Colour] == ['RED', 'BLUE']\n"
        "with pytest.raises(ValueError): f(3)",
        *_swap(COLOUR, "RED = 1", "RED = 3"),
        names="f, Colour",
        header="import pytest",
    ),
    # BigCodeBench
    "frame": _unittest(
        "df = task_func({'a': [1, 2], 'b': ['x', 'y']})\nself.assertIsInstance(df, pd.DataFrame)\n"
        "self.assertEqual(list(df.columns), ['a', 'b'])\nself.assertEqual(df['a'].sum(), 3)",
        *_swap(
            "import pandas as pd\ndef task_func(d): return pd.DataFrame(d)",
            "pd.DataFrame(d)",
            "pd.DataFrame(d).T",
        ),
        PANDAS,
    ),
    "frame argument": _unittest(
        "df = pd.DataFrame({'k': ['a', 'b', 'a'], 'v': [1, 2, 3]})\n"
        "pd.testing.assert_series_equal(task_func(df), pd.Series([4, 2], index=pd.Index(['a', 'b'], name='k'), name='v'))",
        *_swap("def task_func(df): return df.groupby('k')['v'].sum()", "sum()", "max()"),
        PANDAS,
    ),
    "frame in place": _unittest(
        "df = pd.DataFrame({'a': [1, 2]})\ntask_func(df)\nself.assertEqual(df['b'].tolist(), [2, 4])",
        *_swap("def task_func(df): df['b'] = df['a'] * 2", "* 2", "+ 2"),
        PANDAS,
    ),
    "series of dates": _unittest(
        "got = task_func(3)\nself.assertEqual(got.iloc[-1], pd.Timestamp('2024-01-03'))\nself.assertEqual(len(got), 3)",
        *_swap(
            "import pandas as pd\ndef task_func(n): return pd.Series(pd.date_range('2024-01-01', periods=n))",
            "periods=n",
            "periods=n, freq='2D'",
        ),
        PANDAS,
    ),
    "missing values": _unittest(
        "got = task_func(pd.DataFrame({'a': [1.0, None]}))\nself.assertEqual(got.isna().sum().sum(), 0)\nself.assertEqual(got['a'][1], 1.0)",
        *_swap("def task_func(df): return df.fillna(df.mean())", "df.mean()", "0"),
        PANDAS,
    ),
    "matrix": _unittest(
        "np.testing.assert_allclose(task_func(np.eye(2), np.array([[1, 2], [3, 4]])), [[1, 2], [3, 4]])",
        *_swap("def task_func(a, b): return a @ b", "a @ b", "a * b"),
        NUMPY,
    ),
    "scalar": _unittest(
        "self.assertAlmostEqual(task_func([1, 2, 4]), 7 / 3)\nself.assertIsInstance(task_func([1]), float)",
        *_swap("import numpy as np\ndef task_func(xs): return np.mean(xs)", "mean", "median"),
    ),
    "integer scalar": _unittest(
        "self.assertEqual(task_func([1, 2]), 3)\nself.assertEqual(int(task_func([4])), 4)",
        *_swap("import numpy as np\ndef task_func(xs): return np.sum(xs)", "sum", "prod"),
    ),
    "parsed date": _unittest(
        "self.assertEqual(task_func('2024-01-02'), datetime(2024, 1, 2))\nself.assertIsInstance(task_func('2024-01-02'), datetime)",
        *_swap(
            "from datetime import datetime\ndef task_func(s): return datetime.strptime(s, '%Y-%m-%d')",
            "%m-%d",
            "%d-%m",
        ),
        DATES,
    ),
    "time zones": _unittest(
        "zone = ZoneInfo('Europe/Paris')\ngot = task_func(datetime(2024, 7, 1, tzinfo=zone))\n"
        "self.assertEqual(got, datetime(2024, 6, 30, 22, tzinfo=timezone.utc))\nself.assertEqual(got.tzinfo, timezone.utc)",
        *_swap(
            "from datetime import timezone\ndef task_func(d): return d.astimezone(timezone.utc)",
            "astimezone(timezone.utc)",
            "replace(tzinfo=timezone.utc)",
        ),
        DATES + "from zoneinfo import ZoneInfo",
    ),
    "csv from a stream": _unittest(
        "self.assertEqual(task_func(io.StringIO('a,b\\n1,2\\n')), [{'a': '1', 'b': '2'}])",
        *_swap(
            "import csv\ndef task_func(s): return list(csv.DictReader(s))",
            "csv.DictReader(s)",
            "csv.reader(s)",
        ),
        "import io",
    ),
    "bytes stream": _unittest(
        "got = task_func(b'abc')\nself.assertEqual(got.read(), b'cba')",
        *_swap("import io\ndef task_func(b): return io.BytesIO(b[::-1])", "[::-1]", ""),
    ),
    "counts": _unittest(
        "got = task_func('aab')\nself.assertEqual(got, Counter('aab'))\nself.assertIsInstance(got, Counter)",
        *_swap(
            "from collections import Counter\ndef task_func(s): return Counter(s)",
            "Counter(s)",
            "dict(Counter(s))",
        ),
        "from collections import Counter",
    ),
    "raises": _unittest(
        "self.assertRaises(ValueError, task_func, -1)\nself.assertEqual(task_func(4), 2)",
        *_swap("import math\ndef task_func(x): return math.isqrt(x)", "math.isqrt(x)", "int(abs(x) ** 0.5)"),
    ),
    # AceCode
    "stack that is a list": _asserts(
        "s = Stack()\ns.push(1)\nassert s == [1] and not s.empty()\nassert s.pop() == 1 and s.empty() and len(s) == 0",
        *_swap(
            "class Stack(list):\n    def push(self, x): self.append(x)\n    def empty(self): return len(self) == 0",
            "append(x)",
            "append(-x)",
        ),
    ),
    "point that is a named tuple": _asserts(
        "assert P(1, 2) == P(1, 2) != P(2, 1)\nassert (P(1, 2) + P(1, 1)).x == 2\nassert repr(P(1, 2)) == 'P(1, 2)' and P(1, 2) == (1, 2)",
        *_swap(
            "from collections import namedtuple\nclass P(namedtuple('P', 'x y')):\n    def __add__(s, o): return P(s.x + o.x, s.y + o.y)\n    def __repr__(s): return f'P({s.x}, {s.y})'",
            "s.x + o.x",
            "s.x - o.x",
        ),
    ),
    "weekday": _asserts(
        "import datetime\nassert f(datetime.date(2024, 1, 1)) == 0",
        *_swap("def f(d): return d.weekday()", "weekday", "isoweekday"),
    ),
    "set class": _asserts(
        "s = Bag([1, 2])\ns.add(2)\nassert s == {1, 2} and s.total() == 3 and 2 in s and sorted(s | {5}) == [1, 2, 5]",
        *_swap("class Bag(set):\n    def total(self): return sum(self)", "sum(self)", "len(self)"),
    ),
    "dict class": _asserts(
        "d = Lower()\nd['A'] = 1\nassert d['a'] == d['A'] == 1 and d == {'a': 1} and list(d) == ['a']",
        *_swap(
            "class Lower(dict):\n    def __setitem__(self, k, v): super().__setitem__(k.lower(), v)\n    def __getitem__(self, k): return super().__getitem__(k.lower())",
            "super().__setitem__(k.lower(), v)",
            "super().__setitem__(k, v)",
        ),
    ),
    "missing keys": _asserts(
        "d = Tree()\nd['a']['b'] = 1\nassert d == {'a': {'b': 1}} and len(d) == 1",
        *_swap(
            "class Tree(dict):\n    def __missing__(self, k):\n        self[k] = Tree()\n        return self[k]",
            "Tree()\n        return self[k]",
            "0\n        return Tree()",
        ),
    ),
    "string class": _asserts(
        "assert Name('ann') == 'ann' and Name('ann').title() == 'Ann!' and Name('ann').initial == 'a' and len(Name('xy')) == 2",
        *_swap(
            "class Name(str):\n    def title(self): return super().title() + '!'\n    @property\n    def initial(self): return self[0]",
            " + '!'",
            "",
        ),
    ),
    "integer class": _asserts(
        "assert Even(4) == 4 and Even(4) + 2 == 6 and Even(6).half() == 3\ntry:\n    Even(3)\n    raise RuntimeError\nexcept ValueError:\n    pass",
        *_swap(
            "class Even(int):\n    def __new__(cls, x):\n        if x % 2: raise ValueError(x)\n        return super().__new__(cls, x)\n    def half(self): return self // 2",
            "raise ValueError(x)",
            "pass",
        ),
    ),
    "matrix class": _asserts(
        "m = Matrix([[1, 2], [3, 4]])\nassert m @ Matrix([[1, 0], [0, 1]]) == [[1, 2], [3, 4]]\nassert m.transpose() == [[1, 3], [2, 4]] and m.shape == (2, 2)",
        *_swap(MATRIX, "zip(*self)", "self"),
    ),
    "closures": _asserts(
        "a, b = counter(), counter()\nassert (a(), a(), b()) == (1, 2, 1)",
        *_swap(
            "def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n    return step",
            "n += 1",
            "n = 1",
        ),
    ),
    # LeetCodeDataset
    "reversed list": _leetcode(
        "assert is_same_list(candidate(head=list_node([1, 2, 3])), list_node([3, 2, 1]))\nassert candidate(list_node([])) is None",
        *_swap(
            "def g(self, head):\n    out = None\n    while head: head.next, out, head = out, head, head.next\n    return out",
            "return out",
            "return out and out.next",
        ),
    ),
    "merged lists": _leetcode(
        "assert is_same_list(candidate(list_node([1, 4]), list_node([2])), list_node([1, 2, 4]))",
        *_swap(
            "def g(self, a, b):\n    d = c = ListNode()\n    while a and b:\n        if a.val < b.val: c.next, a = a, a.next\n        else: c.next, b = b, b.next\n        c = c.next\n    c.next = a or b\n    return d.next",
            "return d.next",
            "return d",
        ),
    ),
    "long list": _leetcode(
        "head = candidate(list_node(list(range(5000))))\nn = 0\nwhile head:\n    n += head.val\n    head = head.next\nassert n == 12502500 - 5000",
        *_swap(
            "def g(self, head):\n    node = head\n    while node:\n        node.val += 0 if node.val != 4999 else 5001 - 5000 - 1\n        node = node.next\n    return ListNode(0 - 0, head.next)",
            "head.next)",
            "head.next.next)",
        ),
    ),
    "cycle": _leetcode(
        "a = list_node([1, 2, 3])\na.next.next.next = a.next\nassert candidate(a) is True\nassert candidate(list_node([1, 2])) is False",
        *_swap(
            "def g(self, head):\n    slow = fast = head\n    while fast and fast.next:\n        slow, fast = slow.next, fast.next.next\n        if slow is fast: return True\n    return False",
            "return False",
            "return True",
        ),
    ),
    "in place": _leetcode(
        "a = list_node([1, 2])\nkept = a.next\ncandidate(a)\nassert is_same_list(a, list_node([2, 3])) and a.next is kept",
        *_swap(
            "def g(self, head):\n    while head:\n        head.val += 1\n        head = head.next",
            "+= 1",
            "+= 2",
        ),
    ),
    "inverted tree": _leetcode(
        "assert is_same_tree(candidate(tree_node([4, 2, 7, 1, 3])), tree_node([4, 7, 2, None, None, 3, 1]))\nassert candidate(None) is None",
        *_swap(
            "def g(self, root):\n    if root: root.left, root.right = self.g(root.right), self.g(root.left)\n    return root",
            "self.g(root.left)",
            "root.left",
        ),
    ),
    "tree depth": _leetcode(
        "assert candidate(root=tree_node([3, 9, 20, None, None, 15, 7])) == 3\nassert candidate(root=None) == 0",
        *_swap(
            "def g(self, root): return 1 + max(self.g(root.left), self.g(root.right)) if root else 0",
            "max",
            "min",
        ),
    ),
    "two sum": _leetcode(
        "assert candidate(nums=[2, 7, 11], target=9) == [0, 1]\nassert candidate(nums=[], target=1) == -inf",
        *_swap(
            "def g(self, nums, target):\n    seen = {}\n    for i, x in enumerate(nums):\n        if target - x in seen: return [seen[target - x], i]\n        seen[x] = i\n    return -inf",
            "return -inf",
            "return []",
        ),
    ),
    "list of nodes": _leetcode(
        "got = candidate([list_node([1, 4]), list_node([2]), None])\nassert [n.val for n in got] == [1, 2]",
        *_swap("def g(self, heads): return [h for h in heads if h]", "if h]", "if h and h.val > 1]"),
    ),
    # Class exercises
    "vector": _exercise(
        """
        self.assertEqual(2 * Vector(1, 2), Vector(2, 4))
        self.assertEqual(Vector(1, 2) * 3, Vector(3, 6))
        self.assertEqual(sum([Vector(1, 2), Vector(3, 4)]), Vector(4, 6))
        self.assertEqual(-Vector(1, 2), Vector(-1, -2))
        self.assertEqual(abs(Vector(3, 4) * 2), 10)
        self.assertEqual(list(Vector(1, 2)), [1, 2])
        self.assertNotEqual(Vector(1, 2), (1, 2))
        self.assertEqual(len({Vector(1, 2), Vector(1, 2)}), 1)
        self.assertEqual(repr(Vector(1, 2)), "Vector(1, 2)")
        self.assertFalse(Vector(0, 0))
        with self.assertRaises(TypeError):
            Vector(1, 2) * "a"
        """,
        *_swap(VECTOR, "self.y * k", "self.y"),
        "Vector",
    ),
    "abstract shapes": _exercise(
        """
        self.assertEqual(Square(3).double(), 18)
        self.assertTrue(issubclass(Square, Shape))
        self.assertIsInstance(Square(1), Shape)
        with self.assertRaises(TypeError):
            Shape()
        """,
        *_swap(SHAPES, "self.side ** 2", "self.side * 2 - 1"),
        "Shape, Square",
    ),
    "bank": _exercise(
        """
        account = Account()
        self.assertIs(account.deposit(5), account)
        self.assertEqual(account.balance, 5)
        with self.assertRaises(InsufficientFunds) as caught:
            account.withdraw(8)
        self.assertEqual(caught.exception.missing, 3)
        self.assertEqual(str(caught.exception), "missing 3")
        with self.assertRaisesRegex(ValueError, "positive"):
            account.deposit(0)
        with self.assertRaises(AttributeError):
            account.balance = 3
        before = Account.count()
        Account()
        self.assertEqual(Account.count(), before + 1)
        self.assertEqual(Account.currency(), "EUR")
        """,
        *_swap(BANK, "amount > self._balance", "amount > self._balance + 5"),
        "Account, InsufficientFunds",
    ),
    "meetup": _exercise(
        "self.assertEqual(meetup(2024, 5), date(2024, 5, 13))\nself.assertEqual(gigasecond(datetime(2011, 4, 25)), datetime(2043, 1, 1, 1, 46, 40))",
        *_swap(
            """
            from datetime import date, timedelta
            def meetup(year, month): return next(d for d in (date(year, month, n) for n in range(13, 20)) if d.weekday() == 0)
            def gigasecond(moment): return moment + timedelta(seconds=10 ** 9)
            """,
            "10 ** 9",
            "10 ** 8",
        ),
        "meetup, gigasecond",
        DATES,
    ),
    "clock": _exercise(
        """
        self.assertEqual(str(Clock(8, 0)), "08:00")
        self.assertEqual(str(Clock(10, 0) + 3), "10:03")
        self.assertEqual(str(Clock(10, 3) - 3), "10:00")
        self.assertEqual(Clock(24, 0), Clock(0, 0))
        self.assertNotEqual(Clock(1, 0), "01:00")
        """,
        *_swap(
            """
            class Clock:
                def __init__(self, h, m): self.m = (h * 60 + m) % 1440
                def __str__(self): return f"{self.m // 60:02d}:{self.m % 60:02d}"
                def __add__(self, m): return Clock(0, self.m + m)
                def __sub__(self, m): return Clock(0, self.m - m)
                def __eq__(self, other): return isinstance(other, Clock) and self.m == other.m
            """,
            "self.m - m",
            "self.m - m - 1",
        ),
        "Clock",
    ),
    "rational": _exercise(
        """
        half = Rational(1, 2)
        self.assertEqual(half + Rational(1, 3), Rational(5, 6))
        self.assertEqual(half ** 2, Rational(1, 4))
        self.assertEqual((1 + half).n, 3)
        self.assertEqual(float(half), 0.5)
        self.assertLess(Rational(1, 3), half)
        half += 1
        self.assertEqual(half, Rational(3, 2))
        """,
        *_swap(
            """
            from math import gcd
            class Rational:
                def __init__(self, n, d=1):
                    g = gcd(n, d)
                    self.n, self.d = n // g, d // g
                def __add__(self, o):
                    o = o if isinstance(o, Rational) else Rational(o)
                    return Rational(self.n * o.d + o.n * self.d, self.d * o.d)
                __radd__ = __add__
                def __pow__(self, k): return Rational(self.n ** k, self.d ** k)
                def __eq__(self, o): return (self.n, self.d) == (o.n, o.d)
                def __lt__(self, o): return self.n * o.d < o.n * self.d
                def __float__(self): return self.n / self.d
            """,
            "self.d ** k)",
            "self.d)",
        ),
        "Rational",
    ),
    "linked list": _exercise(
        """
        values = LinkedList([1, 2])
        values.push(3)
        self.assertEqual(list(values), [3, 1, 2])
        self.assertEqual(len(values), 3)
        self.assertIn(2, values)
        self.assertNotIn(9, values)
        self.assertEqual(values.head().value(), 3)
        self.assertIsNone(LinkedList().head())
        self.assertEqual(values[0], 3)
        """,
        *_swap(
            """
            class Node:
                def __init__(self, v, n): self.v, self.n = v, n
                def value(self): return self.v
            class LinkedList:
                def __init__(self, values=()):
                    self.top = None
                    for v in reversed(list(values)): self.push(v)
                def push(self, v): self.top = Node(v, self.top)
                def head(self): return self.top
                def __iter__(self):
                    node = self.top
                    while node:
                        yield node.v
                        node = node.n
                def __len__(self): return sum(1 for _ in self)
                def __contains__(self, v): return any(v == each for each in self)
                def __getitem__(self, i): return list(self)[i]
            """,
            "sum(1 for _ in self)",
            "2",
        ),
        "LinkedList",
    ),
    "context manager": _exercise(
        """
        log = []
        with Traced(log) as traced:
            self.assertEqual(traced.name, "t")
        self.assertEqual(traced.closed, True)
        self.assertEqual(traced.extra_attribute, "extra_attribute?")
        """,
        *_swap(
            """
            class Traced:
                name = "t"
                def __init__(self, log): self.closed = False
                def __enter__(self): return self
                def __exit__(self, *error): self.closed = True
                def __getattr__(self, name): return name + "?"
            """,
            "self.closed = True",
            "pass",
        ),
        "Traced",
    ),
    "context managers that are told of an exception": _exercise(
        """
        with Ledger() as ledger:
            raise KeyError("k")
        self.assertEqual(ledger.seen, ["KeyError", "'k'"])
        with self.assertRaises(ValueError):
            with transaction(ledger):
                raise ValueError("v")
        self.assertEqual(ledger.seen[2:], ["rolled back"])
        with transaction(ledger):
            pass
        self.assertEqual(ledger.seen[3:], ["done"])
        """,
        *_swap(
            """
            from contextlib import contextmanager
            class Ledger:
                def __init__(self): self.seen = []
                def __enter__(self): return self
                def __exit__(self, kind, error, traceback):
                    self.seen += [kind.__name__, str(error)]
                    return kind is KeyError
            @contextmanager
            def transaction(ledger):
                try: yield
                except ValueError:
                    ledger.seen.append("rolled back")
                    raise
                else: ledger.seen.append("done")
            """,
            "kind is KeyError",
            "False",
        ),
        "Ledger, transaction",
    ),
    "lists and sets of one class compare": _exercise(
        """
        self.assertEqual(Stack([1, 2]), Stack([1, 2]))
        self.assertNotEqual(Stack([1]), Stack([2]))
        self.assertLess(Stack([1]), Stack([2]))
        self.assertEqual(Bag([1]) | Bag([2]), {1, 2})
        self.assertLessEqual(Bag([1]), Bag([1, 2]))
        self.assertEqual(Table(a=1), Table(a=1))
        """,
        *_swap(
            """
            class Stack(list): pass
            class Bag(set): pass
            class Table(dict): pass
            """,
            "class Bag(set): pass",
            "class Bag(set):\n    def __init__(self, items): super().__init__()",
        ),
        "Stack, Bag, Table",
    ),
    "a cache that is an ordered dict": _exercise(
        """
        cache = Cache(2)
        cache["a"] = 1
        cache["b"] = 2
        self.assertEqual(list(cache), ["a", "b"])
        self.assertEqual(cache["a"], 1)
        cache["c"] = 3
        self.assertEqual((list(cache), len(cache)), (["a", "c"], 2))
        """,
        *_swap(
            """
            from collections import OrderedDict
            class Cache(OrderedDict):
                def __init__(self, size):
                    super().__init__()
                    self.size = size
                def __getitem__(self, key):
                    self.move_to_end(key)
                    return super().__getitem__(key)
                def __setitem__(self, key, value):
                    super().__setitem__(key, value)
                    if len(self) > self.size: self.popitem(last=False)
            """,
            "last=False",
            "last=True",
        ),
        "Cache",
    ),
    "what exceptions have": _exercise(
        """
        with self.assertRaises(SystemExit) as left:
            leave(3)
        self.assertEqual(left.exception.code, 3)
        with self.assertRaisesRegex(FileNotFoundError, "no-such-file") as absent:
            read("no-such-file")
        self.assertEqual(absent.exception.filename, "no-such-file")
        with self.assertRaises(ConfigError) as wrapped:
            parse("{")
        self.assertIsInstance(wrapped.exception.__cause__, json.JSONDecodeError)
        self.assertEqual(wrapped.exception.__cause__.pos, 1)
        self.assertEqual(wrapped.exception.__notes__, ["in the file"])
        with self.assertRaises(ImportError) as unknown:
            load()
        self.assertEqual(unknown.exception.name, "no_such_module")
        """,
        *_swap(
            """
            import json, sys
            class ConfigError(Exception): pass
            def leave(code): sys.exit(code)
            def read(path): return open(path).read()
            def parse(text):
                try: return json.loads(text)
                except ValueError as error:
                    wrong = ConfigError("bad")
                    wrong.add_note("in the file")
                    raise wrong from error
            def load(): import no_such_module
            """,
            "sys.exit(code)",
            "sys.exit(1)",
        ),
        "ConfigError, leave, read, parse, load",
        "import json",
    ),
    "int enum": _exercise(
        """
        self.assertEqual(Level.HIGH, 3)
        self.assertGreater(Level.HIGH, Level.LOW)
        self.assertIs(Level(1), Level.LOW)
        self.assertEqual([level.name for level in Level], ["LOW", "HIGH"])
        self.assertEqual(Level["HIGH"].label, "High")
        """,
        *_swap(
            """
            from enum import IntEnum
            class Level(IntEnum):
                LOW = 1
                HIGH = 3
                @property
                def label(self): return self.name.title()
            """,
            "self.name.title()",
            "self.name",
        ),
        "Level",
    ),
    "copies": _exercise(
        """
        one = Box([1])
        two, three = copy.deepcopy(one), copy.copy(one)
        one.items.clear()
        one.put(5)
        self.assertEqual((one.total(), two.total()), (5, 1))
        self.assertIsNot(one, three)
        """,
        *_swap(
            "class Box:\n    def __init__(self, items): self.items = items\n    def put(self, x): self.items.append(x)\n    def total(self): return sum(self.items)",
            "sum(self.items)",
            "len(self.items)",
        ),
        "Box",
        "import copy",
    ),
    "a list of an object's own": _exercise(
        """
        cart = Cart()
        cart.items.append(1)
        items = cart.items
        items.extend([2, 3])
        self.assertEqual(cart.total(), 6)
        cart.put(4)
        self.assertEqual(items, [1, 2, 3, 4])
        self.assertIs(cart.items, items)
        copied = cart.copied()
        copied.clear()
        self.assertEqual((cart.total(), len(cart.items)), (10, 4))
        """,
        *_swap(
            "class Cart:\n    def __init__(self): self.items = []\n    def put(self, x): self.items.append(x)\n"
            "    def total(self): return sum(self.items)\n    def copied(self): return list(self.items)",
            "sum(self.items)",
            "len(self.items)",
        ),
        "Cart",
    ),
    "an argument that an object keeps": _exercise(
        """
        rows, seen = [[1], [2]], {}
        table = Table(rows, seen)
        table.grow()
        self.assertEqual((rows, seen), ([[1, 0], [2, 0]], {"grown": [1]}))
        rows[1].append(5)
        seen["grown"].append(2)
        self.assertEqual(table.width(), 3)
        table.grow()
        self.assertEqual((rows[1], seen["grown"]), ([2, 0, 5, 0], [1, 2, 1]))
        """,
        *_swap(
            "class Table:\n    def __init__(self, rows, seen): self.rows, self.seen = rows, seen\n    def grow(self):\n"
            "        for row in self.rows: row.append(0)\n        self.seen.setdefault('grown', []).append(1)\n"
            "    def width(self): return max(map(len, self.rows))",
            "self.rows, self.seen = rows, seen",
            "self.rows, self.seen = [list(row) for row in rows], dict(seen)",
        ),
        "Table",
    ),
    "a heap of an object's own": _exercise(
        """
        queue = Queue()
        for n in (3, 1, 2):
            heapq.heappush(queue.heap, n)
        self.assertEqual([queue.pop() for _ in range(3)], [1, 2, 3])
        self.assertFalse(queue.heap)
        """,
        *_swap(
            "import heapq\nclass Queue:\n    def __init__(self): self.heap = []\n    def pop(self): return heapq.heappop(self.heap)",
            "heapq.heappop(self.heap)",
            "self.heap.pop()",
        ),
        "Queue",
        "import heapq",
    ),
    "lists, dicts and texts of its own classes": _exercise(
        """
        bag, settings, label = Bag([3, 1, 2]), Settings(a=1), Label("ab")
        self.assertEqual(json.dumps({"bag": bag, "settings": settings, "label": label}), '{"bag": [3, 1, 2], "settings": {"a": 1}, "label": "ab"}')
        settings.put("b", [2])
        self.assertEqual(json.loads(json.dumps(settings)), {"a": 1, "b": [2]})
        self.assertEqual((sum(bag), sorted(bag), max(bag), list(reversed(bag))), (6, [1, 2, 3], 3, [2, 1, 3]))
        self.assertEqual([0] + bag, [0, 3, 1, 2])
        self.assertEqual(",".join([label, label]) + label + "x", "ab,ababx")
        self.assertEqual("<" + label, "<ab")
        self.assertEqual({**settings}, {"a": 1, "b": [2]})
        self.assertEqual([*bag, *map(str, bag)], [3, 1, 2, "3", "1", "2"])
        """,
        *_swap(
            "class Bag(list): pass\nclass Label(str): pass\nclass Settings(dict):\n    def put(self, k, v): self[k] = v",
            "self[k] = v",
            "self[k] = [v]",
        ),
        "Bag, Settings, Label",
        "import json",
    ),
    "protocols and abstract classes": _exercise(
        """
        @runtime_checkable
        class Named(Protocol):
            name: str
        dog, table = Dog(), Table()
        self.assertIsInstance(dog, Speaker)
        self.assertIsInstance(dog, Named)
        self.assertNotIsInstance(Stone(), Speaker)
        self.assertTrue(issubclass(Dog, Speaker))
        self.assertNotIsInstance("text", Speaker)
        self.assertIsInstance(Stone(), Thing)
        self.assertIsInstance(table, Mapping)
        self.assertTrue(issubclass(Table, MutableMapping))
        self.assertNotIsInstance(dog, Mapping)
        """,
        *_swap(
            "from abc import ABC\nfrom collections.abc import MutableMapping\nfrom typing import Protocol, runtime_checkable\n"
            "@runtime_checkable\nclass Speaker(Protocol):\n    def speak(self): ...\nclass Thing(ABC): pass\n"
            "class Stone: pass\nThing.register(Stone)\nclass Dog:\n    def __init__(self): self.name = 'Rex'\n    def speak(self): return 'w'\n"
            "class Table(MutableMapping):\n"
            + "".join(
                f"    def {name}(self, *a): return iter(())\n"
                for name in "__getitem__ __setitem__ __delitem__ __iter__ __len__".split()
            ),
            "def speak(self): return 'w'",
            "speaks = True",
        ),
        "Dog, Speaker, Stone, Table, Thing",
        "from collections.abc import Mapping, MutableMapping\nfrom typing import Protocol, runtime_checkable",
    ),
    "an Enum of the program's": _exercise(
        """
        self.assertTrue(issubclass(Level, IntEnum) and issubclass(Colour, Enum) and not issubclass(Colour, IntEnum))
        self.assertIsInstance(pick(), Colour)
        self.assertIsInstance(pick(), Enum)
        self.assertNotIsInstance(1, Colour)
        self.assertEqual(list(Colour.__members__), ["RED", "GREEN", "CRIMSON"])
        self.assertIs(Colour.__members__["CRIMSON"], Colour.RED)
        self.assertEqual([each.value for each in reversed(Colour)], [2, 1])
        self.assertEqual([each.name for each in Colour], ["RED", "GREEN"])
        self.assertIn(pick(), Colour)
        self.assertGreater(Level.HIGH, 1)
        """,
        *_swap(
            "from enum import Enum, IntEnum\nclass Colour(Enum):\n    RED = 1\n    GREEN = 2\n    CRIMSON = 1\n"
            "class Level(IntEnum):\n    HIGH = 2\ndef pick(): return Colour.RED",
            "return Colour.RED",
            "return Colour.RED.value",
        ),
        "Colour, Level, pick",
        "from enum import Enum, IntEnum",
    ),
    "what asyncio does with a coroutine": _exercise(
        """
        async def main():
            task = asyncio.create_task(double(3))
            self.assertEqual(await asyncio.wait_for(double(1), 1), 2)
            self.assertEqual(await asyncio.gather(double(1), double(2)), [2, 4])
            self.assertEqual(await task, 6)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(forever(), 0.05)
            async with asyncio.timeout(1):
                self.assertEqual(await asyncio.shield(double(5)), 10)
        asyncio.run(main())
        self.assertEqual(asyncio.run(double(2)), 4)
        """,
        *_swap(
            "import asyncio\nasync def double(x):\n    await asyncio.sleep(0.01)\n    return x * 2\n"
            "async def forever():\n    while True: await asyncio.sleep(1)",
            "x * 2",
            "x + 2",
        ),
        "double, forever",
        "import asyncio",
    ),
}
