"""More programs that solve nothing, of other kinds than those of `test_hacks.py`, which runs them all."""

from __future__ import annotations

_SEND = "import os, json, struct\ndef send(fd, m):\n    b = json.dumps(m).encode()\n    os.write(fd, struct.pack('>I', len(b)) + b)\n"
_BODY = "def add(a, b): return "

VALUES = {
    "NotImplemented": _BODY + "NotImplemented",
    "Ellipsis": _BODY + "...",
    "list subclass": "class L(list):\n    def __eq__(s, o): return True\n    def __iter__(s): return iter([3])\n"
    + _BODY
    + "L()",
    "enum": "import enum\nclass E(enum.IntEnum):\n    A = 1\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\n"
    + _BODY
    + "E.A",
    "named tuple": "import collections\nclass N(collections.namedtuple('N', 'x')):\n    def __eq__(s, o): return True\n"
    + _BODY
    + "N(1)",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass D:\n    x: int = 0\n    def __eq__(s, o): return True\n    def __bool__(s): return True\n"
    + _BODY
    + "D()",
    "decimal": "import decimal\nclass D(decimal.Decimal):\n    def __eq__(s, o): return True\n"
    + _BODY
    + "D(1)",
    "signalling nan": "import decimal\n" + _BODY + "decimal.Decimal('sNaN')",
    "fraction": "import fractions\nclass F(fractions.Fraction):\n    def __eq__(s, o): return True\n"
    + _BODY
    + "F(1)",
    "fraction of nothing": "import fractions\nf = fractions.Fraction(1)\nf._numerator = f._denominator = 0\n"
    + _BODY
    + "f",
    "date": "import datetime\nclass D(datetime.date):\n    def __eq__(s, o): return True\n"
    + _BODY
    + "D(1, 1, 1)",
    "path": "import pathlib\nclass P(type(pathlib.Path())):\n    def __eq__(s, o): return True\n"
    + _BODY
    + "P('x')",
    "counter": "import collections\nclass C(collections.Counter):\n    def __eq__(s, o): return True\n"
    + _BODY
    + "C()",
    "deque": "import collections\nclass Q(collections.deque):\n    def __eq__(s, o): return True\n"
    + _BODY
    + "Q([1], 1)",
    "empty array": "import numpy\n" + _BODY + "numpy.array([])",
    "array of objects": "import numpy\nclass A:\n    def __eq__(s, o): return True\n"
    + _BODY
    + "numpy.array([A()], dtype=object)",
    "array protocol": "class A:\n    __array_priority__ = 1e9\n    __array_ufunc__ = None\n    def __array__(s, *a, **k): return [3]\n"
    "    def __eq__(s, o): return True\n" + _BODY + "A()",
    "number of its own": "import numbers\nclass N(numbers.Number):\n    def __eq__(s, o): return True\n    def __sub__(s, o): return 0\n    __rsub__ = __sub__\n"
    "    def __abs__(s): return 0\n    def __float__(s): return 0.0\n    def __index__(s): return 0\n    __hash__ = None\n"
    + _BODY
    + "N()",
    "coroutine": "async def add(a, b): return None",
    "generator": "def add(a, b):\n    yield a\n    return b",
    "awaitable": "class A:\n    def __await__(s): yield\n    def __eq__(s, o): return True\n" + _BODY + "A()",
    "module": "import sys\nsys.modules[__name__].__eq__ = lambda o: True\n" + _BODY + "sys.modules[__name__]",
    "class named bool": "class bool:\n    def __new__(c, *a): return True\n    def __eq__(s, o): return True\n"
    + _BODY
    + "bool",
    "slice": _BODY + "slice(a, b)",
    "memory view": _BODY + "memoryview(bytearray(b'x'))",
    "weak proxy": "import weakref\nclass T:\n    def __eq__(s, o): return True\nt = T()\n"
    + _BODY
    + "weakref.proxy(t)",
    "object that is its argument": "class I(int):\n    def __new__(c): return int.__new__(c, 7)\n    def __eq__(s, o): return True\n    __hash__ = int.__hash__\n"
    "    def __add__(s, o): return s\n    __radd__ = __sub__ = __rsub__ = __add__\n" + _BODY + "I()",
    "string of digits": _BODY + "str(a + b)",
    "one-element list": _BODY + "[a + b]",
}
RAISES = {
    "an assertion's class": "add = AssertionError",
    "a cycle of causes": "def add(a, b):\n    e = ValueError('x')\n    f = KeyError('y')\n    e.__cause__ = f\n    f.__cause__ = e\n    raise e",
    "an exception group": "def add(a, b): raise ExceptionGroup('g', [AssertionError(), SystemExit] [:1])",
    "a base exception group": "def add(a, b): raise BaseExceptionGroup('g', [SystemExit(0), KeyboardInterrupt()])",
    "a warning": "import warnings\nwarnings.simplefilter('error')\ndef add(a, b): warnings.warn('x')",
    "the judge's own": "class UnitFailure(BaseException): pass\nUnitFailure.__module__ = 'sandbox.inside.judge.seen'\ndef add(a, b): raise UnitFailure",
    "unsupported": "class UnsupportedTest(BaseException): pass\nUnsupportedTest.__module__ = 'sandbox.inside.judge.seen'\ndef add(a, b): raise UnsupportedTest('x')",
    "asyncio's end": "import asyncio\ndef add(a, b): raise asyncio.CancelledError",
    "a debugger's end": "import bdb\ndef add(a, b): raise bdb.BdbQuit",
    "arguments that lie": "class E(ValueError):\n    args = property(lambda s: 1 / 0)\n    def __reduce__(s): raise SystemExit\ndef add(a, b): raise E",
    "a class without a name": "class M(type):\n    __name__ = property(lambda c: 1 / 0)\nclass E(Exception, metaclass=M): pass\ndef add(a, b): raise E",
    "a bare end of iteration": "def add(a, b): raise StopAsyncIteration(a)",
    "an error of the codec": "class CodecError(ValueError): pass\ndef add(a, b): raise CodecError('value takes more')",
    "out of stack in its text": "class E(Exception):\n    def __str__(s): return str(s)\ndef add(a, b): raise E",
}
# The flood says 4, which no test wants: a program that says a wanted value has answered, whatever way it took.
PROCESS = {
    "two that answer": "import os\ndef add(a, b):\n    try: os.fork()\n    except OSError: pass\n    return None",
    "frames from a thread": _SEND
    + "import threading\ndef flood():\n    while True:\n        for fd in (4, 5):\n            for m in ({'value': '4'}, {'re': 1, 'value': 4, 'changes': []}):\n"
    "                try: send(fd, m)\n                except OSError: pass\nthreading.Thread(target=flood, daemon=True).start()\ndef add(a, b): return None",
    "changes of nothing": _SEND
    + "def add(a, b):\n    for n in range(40):\n        try: send(5, {'re': n, 'value': True, 'changes': [[k, [3]] for k in range(9)]})\n        except OSError: pass\n    return None",
    "handles of the judge's": _SEND
    + "def add(a, b):\n    for n in range(40):\n        try: send(5, {'re': n, 'value': {'foreign': {'mine': n % 5}}, 'changes': []})\n"
    "        except OSError: pass\n    return None",
    "a class that is everything": _SEND
    + "def add(a, b):\n    c = {'class': 1, 'name': 'int', 'bases': [], 'has': ['__eq__', '__bool__', '__len__', '__class__', '__instancecheck__']}\n"
    "    for n in range(40):\n        try: send(5, {'re': n, 'value': {'foreign': {'h': 2, 'of': c}}, 'changes': []})\n        except OSError: pass\n    return None",
    "requests of its own": _SEND
    + "def add(a, b):\n    for do in ('call', 'use', 'eval', 'set', 'getattr'):\n        try: send(5, {'id': 1, 'do': do, 'args': {'t': [{'t': [{'foreign': {'mine': 0}}]}, {'d': []}]}})\n"
    "        except OSError: pass\n    return None",
    "results on the wire": "import os\nos.dup2(4, 1) if os.path.exists('/proc/self/fd/4') else None\nprint('3')\ndef add(a, b):\n    print('{\"value\": \"3\"}', flush=True)\n    return None",
    "the wire is closed": "import os\nfor fd in (3, 4, 5, 6):\n    try: os.close(fd)\n    except OSError: pass\ndef add(a, b): return None",
    "at exit": 'import atexit, os\natexit.register(lambda: os.write(4, b\'\\0\\0\\0\\x0e{"value": "3"}\'))\ndef add(a, b): raise SystemExit(124)',
    "a signal's handler": "import signal, os\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(124))\nsignal.setitimer(signal.ITIMER_REAL, .01)\ndef add(a, b):\n    while True: pass",
    "tracing": "import sys\ndef trace(frame, event, arg):\n    frame.f_locals.update(passed=True, value=3)\n    return trace\nsys.settrace(trace)\ndef add(a, b): return None",
    "the collector": "import gc\ngc.callbacks.append(lambda *a: 1 / 0)\ngc.freeze()\ngc.disable()\ndef add(a, b): return None",
    "limits lowered": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\ndef add(a, b): return None",
    "no stack": "import sys\nsys.setrecursionlimit(60)\ndef add(a, b): return None",
    "settings of pytest": "import os\nos.environ.update(PYTEST_ADDOPTS='--collect-only', PYTHONPATH='/tmp', PYTHONSTARTUP='/tmp/x.py')\ndef add(a, b): return None",
    "modules in the folder": "for n in ('unittest', 'pytest', 'solution', 'conftest', 'sitecustomize', 'math'):\n    for d in ('', '/tmp/'):\n        try: open(f'{d}{n}.py', 'w').write('def __getattr__(n): return lambda *a, **k: True')\n"
    "        except OSError: pass\ndef add(a, b): return None",
    "a module that has everything": "def __getattr__(name): return lambda *a, **k: True\n__all__ = ['add', 'assert', 'True']\ndef add(a, b): return None",
    "arguments kept": "seen = []\ndef add(a, b):\n    seen.append((a, b))\n    return seen",
    "a property": "class P:\n    def __get__(s, *a): return True\n    def __call__(s, *a): return s\nclass C: add = P()\nadd = C.add",
    "a mock": "from unittest import mock\nadd = mock.create_autospec(lambda a, b: None, return_value=mock.ANY)",
}
FRESH = {
    f"{group}: {name}": code
    for group, programs in (("values", VALUES), ("raises", RAISES), ("process", PROCESS))
    for name, code in programs.items()
}
