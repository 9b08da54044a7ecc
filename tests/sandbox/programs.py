"""Honest programs in unusual styles: each reads `3\\n1 2 3\\n` and prints 6, as `python FILE` would have it."""

from __future__ import annotations

INPUT = "3\n1 2 3\n"
OUTPUT = "6"

READING = {
    "input": "input()\nprint(sum(map(int, input().split())))",
    "input with a prompt": "n = int(input(''))\nprint(sum(int(x) for x in input('').split()))",
    "sys.stdin.readline": "import sys\ninput = sys.stdin.readline\nn = int(input())\nprint(sum(map(int, input().split())))",
    "sys.stdin iterated": "import sys\nlines = [line.rstrip('\\n') for line in sys.stdin]\nprint(sum(map(int, lines[1].split())))",
    "sys.stdin.read": "import sys\nprint(sum(map(int, sys.stdin.read().split()[1:])))",
    "sys.stdin.buffer": "import sys\ndata = sys.stdin.buffer.read().split()\nprint(sum(map(int, data[1:])))",
    "buffer.readline": "import sys\nreadline = sys.stdin.buffer.readline\nreadline()\nprint(sum(map(int, readline().split())))",
    "open(0)": "n, *rest = open(0).read().split()\nprint(sum(map(int, rest)))",
    "open(0) lines": "_, line = open(0)\nprint(sum(map(int, line.split())))",
    "open(0, 'rb')": "print(sum(map(int, open(0, 'rb').read().split()[1:])))",
    "/dev/stdin": "with open('/dev/stdin') as f:\n    f.readline()\n    print(sum(map(int, f.readline().split())))",
    "/dev/fd/0": "print(sum(map(int, open('/dev/fd/0').read().split()[1:])))",
    "/proc/self/fd/0": "print(sum(map(int, open('/proc/self/fd/0').read().split()[1:])))",
    "os.read": "import os\nprint(sum(map(int, os.read(0, 1 << 20).split()[1:])))",
    "BytesIO": "import io, os\nread = io.BytesIO(os.read(0, 1 << 16)).readline\nread()\nprint(sum(map(int, read().split())))",
    "os.fdopen": "import os\nwith os.fdopen(0) as f:\n    f.readline()\n    print(sum(map(int, f.read().split())))",
    "fileinput": "import fileinput\nlines = list(fileinput.input())\nprint(sum(map(int, lines[1].split())))",
    "codecs": "import codecs, sys\nf = codecs.getreader('utf-8')(sys.stdin.buffer)\nprint(sum(map(int, f.read().split()[1:])))",
    "TextIOWrapper": "import io, sys\nsys.stdin = io.TextIOWrapper(sys.stdin.buffer, encoding='ascii')\ninput()\nprint(sum(map(int, input().split())))",
    "reconfigure": "import sys\nsys.stdin.reconfigure(encoding='utf-8')\nsys.stdout.reconfigure(line_buffering=True)\ninput()\nprint(sum(map(int, input().split())))",
    "until EOFError": "t = 0\ninput()\nwhile True:\n    try: t += sum(map(int, input().split()))\n    except EOFError: break\nprint(t)",
    "iter(input, sentinel)": "it = iter(lambda: input(), 'stop')\nnext(it)\nprint(sum(map(int, next(it).split())))",
    "eval": "input()\nprint(eval('+'.join(input().split())))",
    "select": "import select, sys\nselect.select([sys.stdin], [], [], 5)\nsys.stdin.readline()\nprint(sum(map(int, sys.stdin.readline().split())))",
    "asyncio over a thread": "import asyncio, sys\nasync def main():\n    loop = asyncio.get_running_loop()\n    await loop.run_in_executor(None, sys.stdin.readline)\n    line = await loop.run_in_executor(None, sys.stdin.readline)\n    print(sum(map(int, line.split())))\nasyncio.run(main())",
    "the whole fast template": (
        "import os, sys\nfrom io import BytesIO, IOBase\nBUFSIZE = 8192\n"
        "class FastIO(IOBase):\n    newlines = 0\n    def __init__(self, file):\n        self._fd = file.fileno()\n"
        "        self.buffer = BytesIO()\n        self.writable = 'x' in file.mode or 'r' not in file.mode\n"
        "        self.write = self.buffer.write if self.writable else None\n"
        "    def read(self):\n        while True:\n            b = os.read(self._fd, max(os.fstat(self._fd).st_size, BUFSIZE))\n"
        "            if not b: break\n            ptr = self.buffer.tell()\n"
        "            self.buffer.seek(0, 2), self.buffer.write(b), self.buffer.seek(ptr)\n        self.newlines = 0\n"
        "        return self.buffer.read()\n"
        "    def readline(self):\n        while self.newlines == 0:\n"
        "            b = os.read(self._fd, max(os.fstat(self._fd).st_size, BUFSIZE))\n"
        "            self.newlines = b.count(b'\\n') + (not b)\n            ptr = self.buffer.tell()\n"
        "            self.buffer.seek(0, 2), self.buffer.write(b), self.buffer.seek(ptr)\n        self.newlines -= 1\n"
        "        return self.buffer.readline()\n"
        "    def flush(self):\n        if self.writable:\n            os.write(self._fd, self.buffer.getvalue())\n"
        "            self.buffer.truncate(0), self.buffer.seek(0)\n"
        "class IOWrapper(IOBase):\n    def __init__(self, file):\n        self.buffer = FastIO(file)\n"
        "        self.flush = self.buffer.flush\n        self.writable = self.buffer.writable\n"
        "        self.write = lambda s: self.buffer.write(s.encode('ascii'))\n"
        "        self.read = lambda: self.buffer.read().decode('ascii')\n"
        "        self.readline = lambda: self.buffer.readline().decode('ascii')\n"
        "sys.stdin, sys.stdout = IOWrapper(sys.stdin), IOWrapper(sys.stdout)\n"
        "input = lambda: sys.stdin.readline().rstrip('\\r\\n')\n"
        "input()\nprint(sum(map(int, input().split())))"
    ),
}

WRITING = {
    "write": "import sys\nassert sys.stdout.write('6') == 1",
    "buffer.write": "import sys\nsys.stdout.buffer.write(b'6')",
    "os.write": "import os\nos.write(1, b'6')",
    "open(1)": "out = open(1, 'w')\nprint(6, file=out)",
    "open(1) with the stream kept elsewhere": "import sys\nsys.out = open(1, 'w', closefd=False)\nsys.out.write('6')",
    "os.fdopen": "import os\nout = os.fdopen(1, 'w')\nout.write('6')",
    "os.fdopen in a function's default": "import os\ndef say(x, out=os.fdopen(1, 'w')): out.write(str(x))\nsay(6)",
    "os.dup": "import os\nout = open(os.dup(1), 'wb', buffering=1 << 16)\nout.write(b'6')",
    "/dev/stdout": "with open('/dev/stdout', 'w') as f: f.write('6')",
    "a stream that is replaced": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8', write_through=False)\nprint(6)",
    "a stream that is replaced by another": "import io, sys\nsys.stdout = io.TextIOWrapper(open(1, 'wb', closefd=False))\nprint(6)",
    "StringIO, then all at once": "import io, sys\nreal, sys.stdout = sys.stdout, io.StringIO()\nprint(6)\nreal.write(sys.stdout.getvalue())",
    "StringIO and atexit": "import atexit, io, sys\nsys.stdout = io.StringIO()\natexit.register(lambda: sys.__stdout__.write(sys.stdout.getvalue()))\nprint(6)",
    "redirect_stdout": "import contextlib, io\nf = io.StringIO()\nwith contextlib.redirect_stdout(f): print(6)\nprint(f.getvalue(), end='')",
    "print, then devnull": "import os, sys\nprint(6)\nsys.stdout = open(os.devnull, 'w')",
    "print, then None": "import sys\nprint(6)\nsys.stdout = None",
    "print, then close": "import sys\nprint(6)\nsys.stdout.close()",
    "print with a generator left open": "def f():\n    try: yield 1\n    finally: print(6)\ng = f()\nnext(g)",
    "__del__": "class A:\n    def __del__(self): print(6)\na = A()",
    "__del__ of a cycle": "class A:\n    def __del__(self): print(6)\na = A()\na.me = a\na = None",
    "__del__ of a private name first": "class A:\n    def __init__(self, x): self.x = x\n    def __del__(self): print(self.x, end='')\nb = A('')\n_a = A(6)",
    "atexit": "import atexit\natexit.register(print, 6)",
    "weakref.finalize": "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, 6)",
    "a thread that outlives the program": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print(6))).start()",
    "a timer": "import threading\nthreading.Timer(0.05, print, [6]).start()",
    "logging to stdout": "import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s')\nlogging.warning(6)",
    "a lot of stderr": "import sys\nfor _ in range(40): sys.stderr.write('x' * 65536)\nprint(6)",
    "stderr in place of stdout": "import sys\nprint('debug', file=sys.stderr)\nprint(6)",
    "stderr closed": "import sys\nsys.stderr.close()\nprint(6)",
    "unbuffered": "import os, sys\nsys.stdout = os.fdopen(1, 'wb', 0)\nsys.stdout.write(b'6')",
    "surrogates": "import sys\nsys.stdout.write('6' + ' ' * 10)\nsys.stdout.flush()",
    "pprint": "from pprint import pprint\npprint(6)",
    "curly format": "print('{:d}'.format(6), f'{\"\":s}', sep='')",
}

ENDING = {
    "exit()": "print(6)\nexit()",
    "exit(0)": "print(6)\nexit(0)",
    "quit()": "print(6)\nquit()",
    "sys.exit()": "import sys\nprint(6)\nsys.exit()",
    "sys.exit(None)": "import sys\nprint(6)\nsys.exit(None)",
    "raise SystemExit": "print(6)\nraise SystemExit",
    "exit in a function with an open stream": "import os\ndef main():\n    out = os.fdopen(1, 'w')\n    out.write('6')\n    exit()\nmain()",
    "os._exit after a flush": "import os, sys\nprint(6)\nsys.stdout.flush()\nos._exit(0)",
    "exit from a thread": "import threading\nt = threading.Thread(target=lambda: (print(6), exit(0)))\nt.start(); t.join()",
    "a daemon thread that never ends": "import threading, time\nthreading.Thread(target=time.sleep, args=(100,), daemon=True).start()\nprint(6)",
    "an executor left open": "from concurrent.futures import ThreadPoolExecutor\np = ThreadPoolExecutor(4)\np.submit(print, 6)",
    "atexit that raises": "import atexit\natexit.register(lambda: 1 / 0)\nprint(6)",
    "__del__ that raises": "class A:\n    def __del__(self): raise ValueError\na = A()\nprint(6)",
    "signal and alarm": "import signal\nsignal.signal(signal.SIGALRM, lambda *a: print(6))\nsignal.alarm(1)\nsignal.pause()",
}

SOURCE = {
    "a byte order mark": "\ufeffprint(6)",
    "an encoding line": "# -*- coding: latin-1 -*-\nprint(6)",
    "a shebang": "#!/usr/bin/env python3\nprint(6)",
    "carriage returns": "if 1:\r\n    print(6)\r\n",
    "tabs": "if 1:\n\tprint(6)",
    "a form feed": "\x0cprint(6)",
    "no newline at the end of a comment": "print(6)  # done",
    "letters of all alphabets": "größe = 6\nprint(größe)",
    "__name__": "def main(): print(6)\nif __name__ == '__main__': main()",
    "__file__": "import os\nassert os.path.isabs(__file__) and os.path.exists(__file__)\nprint(6)",
    "reading itself": "print(len(open(__file__).read().split('\\n')[0]) - 47)",
    "sys.argv": "import sys\nassert len(sys.argv) == 1 and sys.argv[0].endswith('.py')\nprint(6)",
    "__builtins__": "__builtins__.print(6)",
    "builtins replaced": "import builtins\nbuiltins.say = print\nsay(6)",
    "__doc__": "'''6'''\nprint(__doc__)",
    "__future__": "from __future__ import annotations\nimport sys\nprint(6)",
    "__main__ imported": "import __main__\nx = 6\nprint(__main__.x)",
    "globals()": "globals()['x'] = 6\nprint(x)",
    "exec": "exec('print(6)')",
    "dataclass": "from dataclasses import dataclass, field\n@dataclass(order=True)\nclass A:\n    x: int\n    y: list = field(default_factory=list)\nprint(max(A(1), A(6)).x)",
    "NamedTuple": "from typing import NamedTuple\nclass A(NamedTuple):\n    x: int\nprint(A(6).x)",
    "Enum": "from enum import IntEnum\nclass A(IntEnum):\n    X = 6\nprint(int(A.X))",
    "pickle of its own class": "import pickle\nclass A:\n    x = 6\nprint(pickle.loads(pickle.dumps(A())).x)",
    "inspect.getsource": "import inspect\ndef f(): return 6\nassert 'return 6' in inspect.getsource(f)\nprint(f())",
    "traceback": "import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: assert '1 / 0' in traceback.format_exc()\nprint(6)",
    "a module of its own": "with open('helper.py', 'w') as f: f.write('x = 6')\nimport helper\nprint(helper.x)",
    "a file of its own": "open('data.txt', 'w').write('6')\nprint(open('data.txt').read())",
    "tempfile": "import tempfile\nwith tempfile.TemporaryFile('w+') as f:\n    f.write('6'); f.seek(0); print(f.read())",
    "mmap": "import mmap\nm = mmap.mmap(-1, 16)\nm[:1] = b'6'\nprint(m[:1].decode())",
    "decimal": "from decimal import Decimal, getcontext\ngetcontext().prec = 50\nprint(Decimal(12) / 2)",
    "fractions": "from fractions import Fraction\nprint(Fraction(12, 2))",
    "match": "match [1, 6]:\n    case [1, x]: print(x)",
    "walrus and generators": "print(next(y for x in range(9) if (y := x * 2) == 6))",
    "asyncio": "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x\nasync def main(): return sum(await asyncio.gather(*map(f, (1, 2, 3))))\nprint(asyncio.run(main()))",
    "64 threads": "import threading\nb = threading.Barrier(64)\nt = [threading.Thread(target=b.wait) for _ in range(64)]\n[x.start() for x in t]; [x.join() for x in t]\nprint(6)",
    "an executor of 32": "from concurrent.futures import ThreadPoolExecutor\nimport threading\nb = threading.Barrier(32)\nwith ThreadPoolExecutor(32) as p: list(p.map(lambda x: b.wait(), range(32)))\nprint(6)",
    "numpy": "import numpy as np\nprint(int(np.arange(4).sum()))",
    "sortedcontainers": "from sortedcontainers import SortedList\nprint(SortedList([9, 6])[0])",
    "locale": "import locale\nlocale.setlocale(locale.LC_ALL, '')\nprint(6)",
    "resource": "import resource\nresource.setrlimit(resource.RLIMIT_STACK, resource.getrlimit(resource.RLIMIT_STACK))\nprint(6)",
    "gc off": "import gc\ngc.disable()\nprint(6)",
    "help": "assert help and copyright\nprint(6)",
    "a number of 10,000 digits": "x = 10 ** 10_000\nassert int(str(x)) == x\nprint(len(str(x)) - 9_995)",
    "division of long numbers": "print(str(7 ** 30_000)[0:0] + '6')",
}

CHILDREN = {
    "fork": "import os\nif os.fork() == 0:\n    print(6)\nelse:\n    os.wait()",
    "multiprocessing": "import multiprocessing as m\ndef f(x): return x\nif __name__ == '__main__':\n    with m.Pool(2) as p: print(sum(p.map(f, [1, 2, 3])))",
    "subprocess": "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(6)'], capture_output=True, text=True).stdout)",
}

# `{depth}` levels deep, each through a call by C.
RECURSION = {
    "plain": "def f(n): return 0 if n == 0 else 1 + f(n - 1)",
    "lru_cache": "from functools import lru_cache\n@lru_cache(None)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)",
    "cache": "from functools import cache\n@cache\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)",
    "sum of map": "def f(n): return 0 if n == 0 else 1 + sum(map(f, (n - 1,)))",
    "max of a generator": "def f(n): return 0 if n == 0 else max(1 + f(m) for m in (n - 1,))",
    "a comprehension": "def f(n): return 0 if n == 0 else [1 + f(m) for m in (n - 1,)][0]",
    "__call__": "class F:\n    def __call__(self, n): return 0 if n == 0 else 1 + self(n - 1)\nf = F()",
    "__getitem__": "class F:\n    def __getitem__(self, n): return 0 if n == 0 else 1 + self[n - 1]\nf = F().__getitem__",
    "__missing__": "class D(dict):\n    def __missing__(self, n): return 0 if n == 0 else 1 + self[n - 1]\nf = D().__getitem__",
    "reduce": "from functools import reduce\ndef f(n): return 0 if n == 0 else reduce(lambda a, m: a + f(m), (n - 1,), 1)",
    "sorted by key": "def f(n):\n    return 0 if n == 0 else 1 + [x for x in (1,) if sorted([n - 1], key=f)][0] + n - 2 if n > 1 else n",
    "a decorator of its own": "def memo(g):\n    seen = {}\n    def wrapped(*a):\n        if a not in seen: seen[a] = g(*a)\n        return seen[a]\n    return wrapped\n@memo\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)",
    "partial": "from functools import partial\ndef f(n): return 0 if n == 0 else 1 + partial(f, n - 1)()",
    "operator": "import operator\ndef f(n): return 0 if n == 0 else 1 + operator.call(f, n - 1)",
    "property": "class N:\n    def __init__(self, n): self.n = n\n    @property\n    def depth(self): return 0 if self.n == 0 else 1 + N(self.n - 1).depth\ndef f(n): return N(n).depth",
}
