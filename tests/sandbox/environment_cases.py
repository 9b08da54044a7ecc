"""Honest tests that use what test and program share in ordinary testing, each with a right program and a wrong one.

In the styles of KodCode (pytest files) and BigCodeBench (unittest classes).
"""

from __future__ import annotations

from textwrap import dedent
from typing import Literal, NamedTuple


class Case(NamedTuple):
    kind: Literal["pytest", "unittest"]
    test: str
    right: str
    wrong: str


def pytest_case(test: str, right: str, wrong: str) -> Case:
    return Case("pytest", dedent(test), dedent(right), dedent(wrong))


def unittest_case(body: str, right: str, wrong: str, imports: str = "") -> Case:
    """`body`: the methods of the one class."""
    head = f"import unittest\n{dedent(imports)}\nclass TestCases(unittest.TestCase):\n"
    return Case("unittest", head + _indented(body), dedent(right), dedent(wrong))


def _indented(body: str) -> str:
    return "".join(f"    {line}\n" for line in dedent(body).splitlines())


FILES: dict[str, Case] = {
    "a file of tmp_path is read": pytest_case(
        """
        from solution import total
        def test_it(tmp_path):
            path = tmp_path / "a.txt"
            path.write_text("1\\n2\\n")
            assert total(str(path)) == 3
            path.write_text("4\\n2\\n")  # of the same size, a moment later
            assert total(str(path)) == 6
        """,
        "def total(p): return sum(int(line) for line in open(p))",
        "def total(p): return 3",
    ),
    "a file is written beneath tmp_path": pytest_case(
        """
        from solution import save
        def test_it(tmp_path):
            save(str(tmp_path / "out" / "b.bin"), b"\\x00\\xff")
            assert (tmp_path / "out" / "b.bin").read_bytes() == b"\\x00\\xff"
            assert [p.name for p in tmp_path.iterdir()] == ["out"]
        """,
        """
        import os
        def save(path, data):
            os.makedirs(os.path.dirname(path))
            with open(path, "wb") as file: file.write(data)
        """,
        "def save(path, data): return len(data)",
    ),
    "a file is changed in place": pytest_case(
        """
        import json
        from solution import bump
        def test_it(tmp_path):
            p = tmp_path / "state.json"
            p.write_text(json.dumps({"n": 1}))
            for _ in range(3):
                bump(str(p))
            assert json.loads(p.read_text()) == {"n": 4}
        """,
        """
        import json
        def bump(p):
            with open(p) as f: data = json.load(f)
            data["n"] += 1
            with open(p, "w") as f: json.dump(data, f)
        """,
        "def bump(p): open(p, 'w').write('{\"n\": 2}')",
    ),
    "a file is deleted by the program": unittest_case(
        """
        def test_it(self):
            open("old.txt", "w").close()
            open("new.txt", "w").close()
            task_func("old.txt")
            self.assertFalse(os.path.exists("old.txt"))
            self.assertTrue(os.path.exists("new.txt"))
        """,
        "import os\ndef task_func(p): os.remove(p)",
        "def task_func(p): return None",
        "import os",
    ),
    "a file is deleted by the test": unittest_case(
        """
        def test_it(self):
            path = os.path.join(tempfile.gettempdir(), "gone.txt")
            open(path, "w").close()
            self.assertTrue(task_func(path))
            os.remove(path)
            self.assertFalse(task_func(path))
        """,
        "import os\ndef task_func(p): return os.path.exists(p)",
        "def task_func(p): return True",
        "import os, tempfile",
    ),
    "setUp writes, tearDown deletes": unittest_case(
        """
        def setUp(self):
            self.folder = tempfile.mkdtemp()
            self.path = os.path.join(self.folder, "data.csv")
            with open(self.path, "w", newline="") as f:
                csv.writer(f).writerows([["a", "b"], [1, 2], [3, 4]])
        def tearDown(self):
            shutil.rmtree(self.folder)
        def test_rows(self):
            self.assertEqual(task_func(self.path), [["1", "2"], ["3", "4"]])
        def test_no_file(self):
            with self.assertRaises(FileNotFoundError):
                task_func(self.path + "x")
        """,
        "import csv\ndef task_func(p):\n  with open(p) as f: return list(csv.reader(f))[1:]",
        "def task_func(p):\n  if p.endswith('x'): raise FileNotFoundError(p)\n  return []",
        "import csv, os, shutil, tempfile",
    ),
    "a relative name in the current folder": unittest_case(
        """
        def setUp(self):
            with open("data.csv", "w") as f:
                f.write("x,y\\n")
        def tearDown(self):
            os.remove("data.csv")
        def test_it(self):
            self.assertEqual(task_func("data.csv"), "out.csv")
            with open("out.csv") as f:
                self.assertEqual(f.read(), "X,Y\\n")
        """,
        "def task_func(p):\n  open('out.csv', 'w').write(open(p).read().upper())\n  return 'out.csv'",
        "def task_func(p):\n  open('out.csv', 'w').write('x,y\\n')\n  return 'out.csv'",
        "import os",
    ),
    "monkeypatch.chdir": pytest_case(
        """
        from solution import names
        def test_it(tmp_path, monkeypatch):
            (tmp_path / "b.txt").write_text("")
            (tmp_path / "a.txt").write_text("")
            monkeypatch.chdir(tmp_path)
            assert names() == ["a.txt", "b.txt"]
        """,
        "import os\ndef names(): return sorted(os.listdir('.'))",
        "import os\ndef names(): return sorted(os.listdir('/tmp'))",
    ),
    "a tree of folders": pytest_case(
        """
        import pytest
        from solution import count
        @pytest.fixture
        def tree(tmp_path):
            (tmp_path / "a" / "b").mkdir(parents=True)
            (tmp_path / "empty").mkdir()
            for name in ("x.py", "a/y.py", "a/b/z.txt"):
                (tmp_path / name).write_text("#")
            return tmp_path
        def test_py(tree):
            assert count(str(tree), ".py") == 2
        def test_txt(tree):
            assert count(str(tree), ".txt") == 1
        """,
        "import os\ndef count(p, e): return sum(n.endswith(e) for _, _, fs in os.walk(p) for n in fs)",
        "def count(p, e): return 2",
    ),
    "tmpdir and tmp_path_factory": pytest_case(
        """
        import pytest
        from solution import read
        @pytest.fixture(scope="module")
        def shared(tmp_path_factory):
            path = tmp_path_factory.mktemp("data") / "one.txt"
            path.write_text("one")
            return str(path)
        def test_shared(shared):
            assert read(shared) == "one"
        def test_tmpdir(tmpdir):
            tmpdir.join("two.txt").write("two")
            assert read(str(tmpdir.join("two.txt"))) == "two"
        """,
        "def read(p): return open(p).read()",
        "def read(p): return 'one'",
    ),
    "NamedTemporaryFile": unittest_case(
        """
        def test_it(self):
            with tempfile.NamedTemporaryFile("w+", suffix=".txt", delete=False) as f:
                f.write("b a b")
            self.addCleanup(os.unlink, f.name)
            self.assertEqual(task_func(f.name), {"a": 1, "b": 2})
        """,
        "def task_func(p):\n  w = open(p).read().split()\n  return {x: w.count(x) for x in w}",
        "def task_func(p): return {}",
        "import os, tempfile",
    ),
    "TemporaryDirectory, files moved": unittest_case(
        """
        def test_it(self):
            with tempfile.TemporaryDirectory() as folder:
                for name in ("a.jpg", "b.txt", "c.jpg"):
                    open(os.path.join(folder, name), "w").write(name)
                self.assertEqual(task_func(folder), 2)
                self.assertEqual(sorted(os.listdir(folder)), ["b.txt", "images"])
                self.assertEqual(open(os.path.join(folder, "images", "a.jpg")).read(), "a.jpg")
        """,
        """
        import os, shutil
        def task_func(d):
            os.mkdir(os.path.join(d, "images"))
            names = [n for n in os.listdir(d) if n.endswith(".jpg")]
            for n in names: shutil.move(os.path.join(d, n), os.path.join(d, "images", n))
            return len(names)
        """,
        "def task_func(d): return 2",
        "import os, tempfile",
    ),
    "a zip archive": unittest_case(
        """
        def test_it(self):
            os.makedirs("src", exist_ok=True)
            open("src/a.txt", "w").write("hello")
            path = task_func("src", "out.zip")
            with zipfile.ZipFile(path) as z:
                self.assertEqual(z.read("a.txt"), b"hello")
        """,
        """
        import os, zipfile
        def task_func(d, o):
            with zipfile.ZipFile(o, "w") as z:
                for n in os.listdir(d): z.write(os.path.join(d, n), n)
            return o
        """,
        "import zipfile\ndef task_func(d, o):\n  zipfile.ZipFile(o, 'w').close()\n  return o",
        "import os, zipfile",
    ),
    "a database in a file": unittest_case(
        """
        def test_it(self):
            path = os.path.join(tempfile.mkdtemp(), "t.db")
            with sqlite3.connect(path) as c:
                c.execute("create table t (x int)")
                c.executemany("insert into t values (?)", [(1,), (2,)])
            c.close()
            self.assertEqual(task_func(path), 3)
            c = sqlite3.connect(path)
            self.assertEqual(c.execute("select count(*) from t").fetchone(), (3,))
        """,
        """
        import sqlite3
        def task_func(p):
            c = sqlite3.connect(p)
            (s,) = c.execute("select sum(x) from t").fetchone()
            c.execute("insert into t values (9)")
            c.commit(); c.close()
            return s
        """,
        "def task_func(p): return 3",
        "import os, sqlite3, tempfile",
    ),
    "a pickle of plain values": unittest_case(
        """
        def test_it(self):
            task_func("o.pkl")
            with open("o.pkl", "rb") as f:
                self.assertEqual(pickle.load(f), {"a": {1, 2}, "b": Counter("xx")})
        """,
        """
        import pickle
        from collections import Counter
        def task_func(p):
            with open(p, "wb") as f: pickle.dump({"a": {1, 2}, "b": Counter("xx")}, f)
        """,
        "import pickle\ndef task_func(p): pickle.dump({}, open(p, 'wb'))",
        "import pickle\nfrom collections import Counter",
    ),
    "a log file": unittest_case(
        """
        def test_it(self):
            task_func("app.log", ["one", "two"])
            with open("app.log") as f:
                self.assertEqual(len(f.readlines()), 2)
        """,
        """
        import logging
        def task_func(p, lines):
            handler = logging.FileHandler(p)
            logger = logging.getLogger("app")
            logger.setLevel(logging.INFO); logger.addHandler(handler)
            for line in lines: logger.info(line)
            logger.removeHandler(handler); handler.close()
        """,
        "def task_func(p, lines): open(p, 'w').write(lines[0])",
    ),
    "a file with Python's suffix, of the test's": pytest_case(
        """
        from solution import defined
        def test_it(tmp_path):
            p = tmp_path / "m.py"
            p.write_text("def a(): pass\\ndef b(): pass\\n")
            assert defined(str(p)) == ["a", "b"]
        """,
        "import ast\ndef defined(p): return [n.name for n in ast.parse(open(p).read()).body]",
        "def defined(p): return ['a']",
    ),
    "modes and times": pytest_case(
        """
        import os
        from solution import newest
        def test_it(tmp_path):
            for n, t in (("a", 300), ("b", 500), ("c", 100)):
                (tmp_path / n).write_text("")
                os.utime(tmp_path / n, (t, t))
            assert newest(str(tmp_path)) == "b"
        """,
        "import os\ndef newest(p): return max(os.listdir(p), key=lambda n: os.path.getmtime(os.path.join(p, n)))",
        "import os\ndef newest(p): return max(os.listdir(p))",
    ),
    "many parametrized cases with files": pytest_case(
        """
        import pytest
        from solution import words
        @pytest.mark.parametrize("text,n", [("a b", 2), ("", 0), ("x\\ny z", 3)])
        def test_it(tmp_path, text, n):
            (tmp_path / "t").write_text(text)
            assert words(str(tmp_path / "t")) == n
        """,
        "def words(p): return len(open(p).read().split())",
        "def words(p): return 2",
    ),
    "a path that is no file": unittest_case(
        """
        def test_it(self):
            with self.assertRaises(IsADirectoryError):
                task_func(tempfile.gettempdir())
            with self.assertRaises(FileNotFoundError):
                task_func("/nowhere/at/all")
        """,
        "def task_func(p): return open(p).read()",
        "def task_func(p): raise FileNotFoundError(p)",
        "import tempfile",
    ),
}

STATE: dict[str, Case] = {
    "monkeypatch.setenv and delenv": pytest_case(
        """
        from solution import mode
        def test_set(monkeypatch):
            monkeypatch.setenv("MODE", "fast")
            assert mode() == "fast"
        def test_unset(monkeypatch):
            monkeypatch.delenv("MODE", raising=False)
            assert mode() == "slow"
        """,
        "import os\ndef mode(): return os.getenv('MODE', 'slow')",
        "def mode(): return 'fast'",
    ),
    "patch.dict of os.environ": unittest_case(
        """
        @patch.dict(os.environ, {"A": "1", "B": "2"}, clear=True)
        def test_it(self):
            self.assertEqual(task_func(), ["A", "B"])
        """,
        "import os\ndef task_func(): return sorted(os.environ)",
        "def task_func(): return ['A']",
        "import os\nfrom unittest.mock import patch",
    ),
    "a variable that the program sets": pytest_case(
        """
        import os
        from solution import configure
        def test_it():
            configure("x")
            assert os.environ["APP_MODE"] == "x"
        """,
        "import os\ndef configure(m): os.environ['APP_MODE'] = m",
        "def configure(m): return m",
    ),
    "sys.argv": unittest_case(
        """
        def test_it(self):
            with patch.object(sys, "argv", ["prog", "--n", "3"]):
                self.assertEqual(task_func(), 3)
        """,
        """
        import argparse
        def task_func():
            parser = argparse.ArgumentParser()
            parser.add_argument("--n", type=int)
            return parser.parse_args().n
        """,
        "def task_func(): return 4",
        "import sys\nfrom unittest.mock import patch",
    ),
    "sys.argv by monkeypatch": pytest_case(
        """
        import sys
        from solution import args
        def test_it(monkeypatch):
            monkeypatch.setattr(sys, "argv", ["p", "a", "b"])
            assert args() == ["a", "b"]
        """,
        "import sys\ndef args(): return sys.argv[1:]",
        "def args(): return []",
    ),
    "input by monkeypatch": pytest_case(
        """
        from solution import add
        def test_it(monkeypatch):
            answers = iter(["2", "3"])
            monkeypatch.setattr("builtins.input", lambda prompt="": next(answers))
            assert add() == 5
        """,
        "def add(): return int(input('a ')) + int(input())",
        "def add(): return 2 * int(input())",
    ),
    "input by patch, with side_effect": unittest_case(
        """
        @patch("builtins.input", side_effect=["x", "y", "q"])
        def test_it(self, mocked):
            self.assertEqual(task_func(), ["x", "y"])
            self.assertEqual(mocked.call_count, 3)
        """,
        "def task_func():\n  found = []\n  while (line := input('> ')) != 'q': found.append(line)\n  return found",
        "def task_func(): return ['x', 'y']",
        "from unittest.mock import patch",
    ),
    "sys.stdin is a StringIO": pytest_case(
        """
        import io, sys
        from solution import lines
        def test_it(monkeypatch):
            monkeypatch.setattr("sys.stdin", io.StringIO("first\\n2\\n3\\n"))
            assert lines() == ("first", [2, 3])
        def test_read(monkeypatch):
            monkeypatch.setattr(sys, "stdin", io.StringIO("x\\n7"))
            assert lines() == ("x", [7])
            assert sys.stdin.read() == ""
        """,
        "import sys\ndef lines(): return input(), [int(line) for line in sys.stdin]",
        "import sys\ndef lines(): return 'first', [2, 3]",
    ),
    "capsys, both streams": pytest_case(
        """
        from solution import report
        def test_it(capsys):
            report("a")
            captured = capsys.readouterr()
            assert captured.out == "out a\\n"
            assert captured.err == "err a\\n"
            report("b")
            assert capsys.readouterr().out == "out b\\n"
        """,
        "import sys\ndef report(x): print('out', x); print('err', x, file=sys.stderr)",
        "import sys\ndef report(x): print('out', x); print('err', x)",
    ),
    "capfd": pytest_case(
        "from solution import f\ndef test_it(capfd):\n    f()\n    assert capfd.readouterr().out == 'hi\\n'\n",
        "def f(): print('hi')",
        "def f(): print('ho')",
    ),
    "redirect_stdout": unittest_case(
        """
        def test_it(self):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                task_func(2)
            self.assertEqual(out.getvalue(), "0\\n1\\n")
            self.assertEqual(err.getvalue(), "done")
        """,
        "import sys\ndef task_func(n):\n  for i in range(n): print(i)\n  sys.stderr.write('done')",
        "def task_func(n): print(0)",
        "import contextlib, io",
    ),
    "patch of sys.stdout": unittest_case(
        """
        @patch("sys.stdout", new_callable=io.StringIO)
        def test_it(self, out):
            task_func("x")
            self.assertEqual(out.getvalue().strip(), "x!")
        """,
        "def task_func(x): print(x + '!')",
        "def task_func(x): print(x)",
        "import io\nfrom unittest.mock import patch",
    ),
    "sys.stdout assigned": unittest_case(
        """
        def test_it(self):
            captured = io.StringIO()
            sys.stdout = captured
            task_func("x")
            sys.stdout = sys.__stdout__
            self.assertIn("<x>", captured.getvalue())
        """,
        "def task_func(x): print(f'<{x}>')",
        "def task_func(x): print(x)",
        "import io, sys",
    ),
    "a stream as an argument": pytest_case(
        """
        import io
        from solution import copy
        def test_it():
            out = io.StringIO()
            assert copy(io.StringIO("a\\nb\\n"), out) == 2
            assert out.getvalue() == "A\\nB\\n"
        """,
        "def copy(i, o):\n  n = 0\n  for line in i: o.write(line.upper()); n += 1\n  return n",
        "def copy(i, o):\n  o.write(i.read())\n  return 2",
    ),
    "an opened file as an argument": unittest_case(
        """
        def test_it(self):
            with open("a.txt", "w") as f:
                f.write("1,2")
            with open("a.txt") as f:
                self.assertEqual(task_func(f), ["1", "2"])
        """,
        "import csv\ndef task_func(f): return next(csv.reader(f))",
        "def task_func(f): return []",
    ),
    "random.seed, expected from the same stream": pytest_case(
        """
        import random
        from solution import sample
        def test_it():
            random.seed(42)
            got = sample(3)
            random.seed(42)
            assert got == [random.randint(0, 9) for _ in range(3)]
            random.seed(42)
            assert sample(3) == got
        """,
        "import random\ndef sample(n): return [random.randint(0, 9) for _ in range(n)]",
        "import random\ndef sample(n): return [random.randint(0, 9) for _ in range(n)][::-1]",
    ),
    "random.seed in setUp, a value known before": unittest_case(
        """
        def setUp(self):
            random.seed(0)
        def test_one(self):
            self.assertEqual(task_func(), [1, 10, 9])
        def test_two(self):
            self.assertEqual(task_func(), [1, 10, 9])
        """,
        "import random\ndef task_func():\n  x = list(range(15))\n  random.shuffle(x)\n  return x[:3]",
        "def task_func(): return [1, 10, 9][::-1]",
        "import random",
    ),
    "what the test draws itself comes first": pytest_case(
        """
        import random
        from solution import draw
        def test_it():
            random.seed(7)
            first = random.random()
            second = draw()
            random.seed(7)
            assert [first, second] == [random.random(), random.random()]
        """,
        "import random\ndef draw(): return random.random()",
        "import random\ndef draw(): random.random(); return random.random()",
    ),
}

MOCKS: dict[str, Case] = {
    "builtins.print": unittest_case(
        """
        @patch("builtins.print")
        def test_it(self, mocked):
            task_func(["a", "b"])
            mocked.assert_has_calls([call("a"), call("b", end="")])
            self.assertEqual(mocked.call_args_list, [call("a"), call("b", end="")])
        """,
        "def task_func(x): print(x[0]); print(x[1], end='')",
        "def task_func(x): print(x[0]); print(x[1])",
        "from unittest.mock import call, patch",
    ),
    "mock_open for reading": unittest_case(
        """
        def test_it(self):
            with patch("builtins.open", mock_open(read_data="a\\nb\\n")) as mocked:
                self.assertEqual(task_func("f.txt"), ["a", "b"])
            mocked.assert_called_once_with("f.txt", "r")
        """,
        "def task_func(p):\n  with open(p, 'r') as f: return [line.strip() for line in f]",
        "def task_func(p):\n  with open(p) as f: return [line.strip() for line in f]",
        "from unittest.mock import mock_open, patch",
    ),
    "mock_open for writing": unittest_case(
        """
        @patch("builtins.open", new_callable=mock_open)
        def test_it(self, mocked):
            task_func("o.json", {"a": 1})
            mocked.assert_called_once_with("o.json", "w")
            self.assertEqual("".join(c.args[0] for c in mocked().write.call_args_list), '{"a": 1}')
        """,
        "import json\ndef task_func(p, x):\n  with open(p, 'w') as f: json.dump(x, f)",
        "import json\ndef task_func(p, x):\n  with open(p, 'w') as f: json.dump([x], f)",
        "from unittest.mock import mock_open, patch",
    ),
    "os.listdir and os.path.exists": unittest_case(
        """
        @patch("os.path.exists", return_value=True)
        @patch("os.listdir", return_value=["b.txt", "a.csv"])
        def test_it(self, listed, exists):
            self.assertEqual(task_func("/data"), ["b.txt"])
            listed.assert_called_once_with("/data")
            exists.return_value = False
            with self.assertRaises(FileNotFoundError):
                task_func("/data")
        """,
        """
        import os
        def task_func(p):
            if not os.path.exists(p): raise FileNotFoundError(p)
            return [n for n in os.listdir(p) if n.endswith(".txt")]
        """,
        "def task_func(p): return ['b.txt']",
        "from unittest.mock import patch",
    ),
    "time.sleep is not slept": pytest_case(
        """
        import time
        from solution import retry
        def test_it(monkeypatch):
            slept = []
            monkeypatch.setattr(time, "sleep", slept.append)
            calls = []
            def flaky():
                calls.append(1)
                if len(calls) < 3:
                    raise OSError("no")
                return "yes"
            assert retry(flaky) == "yes"
            assert slept == [1, 2]
        """,
        """
        import time
        def retry(f):
            for n in (1, 2, 4):
                try: return f()
                except OSError: time.sleep(n)
        """,
        """
        import time
        def retry(f):
            for n in (1, 2, 4):
                try: return f()
                except OSError: time.sleep(1)
        """,
    ),
    "time.time, twice": pytest_case(
        """
        from unittest.mock import patch
        from solution import elapsed
        def test_it():
            with patch("time.time", side_effect=[10.0, 12.5]):
                assert elapsed(lambda: None) == 2.5
        """,
        "import time\ndef elapsed(f):\n  t = time.time()\n  f()\n  return time.time() - t",
        "import time\ndef elapsed(f):\n  f()\n  return time.time()",
    ),
    "random.randint and random.choice": unittest_case(
        """
        @patch("random.choice", side_effect=lambda x: x[-1])
        @patch("random.randint", return_value=3)
        def test_it(self, number, choice):
            self.assertEqual(task_func("abc"), "ccc")
            number.assert_called_with(1, 10)
        """,
        "import random\ndef task_func(s): return ''.join(random.choice(s) for _ in range(random.randint(1, 10)))",
        "import random\ndef task_func(s): return 'ccc'",
        "from unittest.mock import patch",
    ),
    "subprocess.run": unittest_case(
        """
        @patch("subprocess.run")
        def test_it(self, run):
            run.return_value = MagicMock(returncode=0, stdout="ok\\n")
            self.assertEqual(task_func("ls"), "ok")
            self.assertEqual(run.call_args[0][0], ["ls"])
            run.side_effect = subprocess.CalledProcessError(1, "ls")
            self.assertEqual(task_func("ls"), "failed")
        """,
        """
        import subprocess
        def task_func(c):
            try: done = subprocess.run([c], capture_output=True, text=True, check=True)
            except subprocess.CalledProcessError: return "failed"
            return done.stdout.strip()
        """,
        "def task_func(c): return 'ok'",
        "import subprocess\nfrom unittest.mock import MagicMock, patch",
    ),
    "urlopen as a context manager": unittest_case(
        """
        @patch("urllib.request.urlopen")
        def test_it(self, urlopen):
            urlopen.return_value.__enter__.return_value.read.return_value = b'{"a": [1, 2]}'
            self.assertEqual(task_func("http://x"), [1, 2])
            urlopen.assert_called_once_with("http://x")
        """,
        """
        import json, urllib.request
        def task_func(u):
            with urllib.request.urlopen(u) as r: return json.loads(r.read())["a"]
        """,
        "def task_func(u): return [1, 2]",
        "from unittest.mock import patch",
    ),
    "a helper of the program's, by name": pytest_case(
        """
        from unittest.mock import patch
        import solution
        def test_it():
            with patch("solution.fetch", return_value=[1, 2, 3]) as fetch:
                assert solution.total("u") == 6
            fetch.assert_called_once_with("u")
            assert solution.fetch("u") == []
        """,
        "def fetch(u): return []\ndef total(u): return sum(fetch(u))",
        "def fetch(u): return []\ndef total(u): return 6",
    ),
    "a helper of the program's, by monkeypatch": pytest_case(
        """
        import solution
        def test_it(monkeypatch):
            monkeypatch.setattr(solution, "LIMIT", 2)
            monkeypatch.setattr("solution.load", lambda: [5, 6, 7])
            assert solution.top() == [5, 6]
        def test_undone():
            assert solution.LIMIT == 9 and solution.top() == [0]
        """,
        "LIMIT = 9\ndef load(): return [0]\ndef top(): return load()[:LIMIT]",
        "LIMIT = 9\ndef load(): return [0]\ndef top(): return load()",
    ),
    "patch.object of the program's module and class": pytest_case(
        """
        from unittest.mock import patch
        import solution
        def test_module():
            with patch.object(solution, "rate", return_value=2) as rate:
                assert solution.convert(3) == 6
                assert rate.call_count == 1
        def test_class():
            with patch.object(solution.Client, "get", return_value={"n": 4}) as get:
                assert solution.Client().count() == 4
                get.assert_called_once_with("/n")
            assert solution.Client().count() == 0
        """,
        """
        def rate(): return 1
        def convert(x): return x * rate()
        class Client:
            def get(self, path): return {"n": 0}
            def count(self): return self.get("/n")["n"]
        """,
        """
        def rate(): return 1
        def convert(x): return x * 2
        class Client:
            def get(self, path): return {"n": 0}
            def count(self): return self.get("/n")["n"]
        """,
    ),
    "a method of the program's, by monkeypatch": pytest_case(
        """
        import solution
        def test_it(monkeypatch):
            monkeypatch.setattr(solution.Shop, "price", lambda self, item: self.factor * 10)
            monkeypatch.setattr(solution.Shop, "tax", staticmethod(lambda: 1), raising=True)
            assert solution.Shop().bill("a") == 21
        def test_undone():
            assert solution.Shop().bill("a") == 3
        """,
        """
        class Shop:
            factor = 2
            def price(self, item): return len(item)
            @staticmethod
            def tax(): return 2
            def bill(self, item): return self.price(item) + self.tax()
        """,
        """
        class Shop:
            factor = 2
            def price(self, item): return len(item)
            @staticmethod
            def tax(): return 2
            def bill(self, item): return 3
        """,
    ),
    "a module that the program imported": pytest_case(
        """
        from unittest.mock import patch
        from solution import roll
        def test_it():
            with patch("solution.random.randint", return_value=6):
                assert roll(2) == 12
        """,
        "import random\ndef roll(n): return sum(random.randint(1, 6) for _ in range(n))",
        "import random\ndef roll(n): return random.randint(1, 6)",
    ),
    "a name that the program imported": pytest_case(
        """
        from unittest.mock import patch, MagicMock
        from solution import pause
        def test_it():
            with patch("solution.sleep") as sleep:
                assert pause(30) == "done"
            sleep.assert_called_once_with(30)
        """,
        "from time import sleep\ndef pause(n): sleep(n); return 'done'",
        "from time import sleep\ndef pause(n): return 'done'",
    ),
    "a mock as an argument": pytest_case(
        """
        from unittest.mock import Mock
        from solution import notify
        def test_it():
            client = Mock()
            client.send.return_value = {"id": 7}
            assert notify(client, "hi") == 7
            client.send.assert_called_once_with(to="all", text="hi")
        def test_error():
            client = Mock()
            client.send.side_effect = ConnectionError("down")
            assert notify(client, "hi") is None
        """,
        """
        def notify(c, text):
            try: return c.send(to="all", text=text)["id"]
            except ConnectionError: return None
        """,
        "def notify(c, text): return c.send(to='all', text=text)['id']",
    ),
    "attributes of a mock": pytest_case(
        """
        from unittest.mock import MagicMock
        from solution import describe
        def test_it():
            user = MagicMock()
            user.name, user.age = "Ann", 3
            user.tags = ["x"]
            user.__len__.return_value = 5
            user.__getitem__.side_effect = lambda key: key * 2
            assert describe(user) == "Ann 3 x 5 kk"
            assert user.seen is True
        """,
        "def describe(u):\n  u.seen = True\n  return f'{u.name} {u.age} {u.tags[0]} {len(u)} {u[\"k\"]}'",
        "def describe(u): return f'{u.name} {u.age} {u.tags[0]} {len(u)} {u[\"k\"]}'",
    ),
    "an assignment to a module's attribute": pytest_case(
        """
        import time
        from solution import stamp
        def test_it():
            original, time.time = time.time, lambda: 5
            try:
                assert stamp() == "at 5"
            finally:
                time.time = original
            assert stamp() != "at 5"
        """,
        "import time\ndef stamp(): return f'at {time.time()}'",
        "import time\ndef stamp(): return 'at 5'",
    ),
    "a method of a standard class": pytest_case(
        """
        from unittest.mock import patch
        from solution import have
        def test_it():
            with patch("pathlib.Path.exists", return_value=True):
                assert have("/no/such/thing") is True
            assert have("/no/such/thing") is False
        """,
        "from pathlib import Path\ndef have(p): return Path(p).exists()",
        "def have(p): return False",
    ),
    "exit": unittest_case(
        """
        @patch("sys.exit")
        def test_it(self, leave):
            task_func([])
            leave.assert_called_once_with(2)
        """,
        "import sys\ndef task_func(x):\n  if not x: sys.exit(2)",
        "import sys\ndef task_func(x): sys.exit(1)",
        "from unittest.mock import patch",
    ),
    "os.environ and os.getcwd replaced": unittest_case(
        """
        @patch("os.getcwd", return_value="/home/me")
        @patch("os.environ.get", return_value="dev")
        def test_it(self, get, cwd):
            self.assertEqual(task_func(), "/home/me:dev")
        """,
        "import os\ndef task_func(): return os.getcwd() + ':' + os.environ.get('STAGE')",
        "import os\ndef task_func(): return '/home/me:'",
        "from unittest.mock import patch",
    ),
    "iteration over a mock": unittest_case(
        """
        def test_it(self):
            cursor = MagicMock()
            cursor.__iter__.return_value = iter([(1, "a"), (2, "b")])
            connection = MagicMock()
            connection.cursor.return_value = cursor
            self.assertEqual(task_func(connection), {1: "a", 2: "b"})
            cursor.execute.assert_called_once_with("SELECT 1")
            connection.close.assert_called_once()
        """,
        """
        def task_func(c):
            cursor = c.cursor()
            cursor.execute("SELECT 1")
            found = {k: v for k, v in cursor}
            c.close()
            return found
        """,
        "def task_func(c):\n  cursor = c.cursor()\n  cursor.execute('SELECT 1')\n  return dict(cursor)",
        "from unittest.mock import MagicMock",
    ),
}

REPORTS: dict[str, Case] = {
    "assertLogs": unittest_case(
        """
        def test_it(self):
            with self.assertLogs("app.jobs", level="INFO") as logs:
                task_func(3)
            self.assertEqual(logs.output, ["INFO:app.jobs:start 3", "ERROR:app.jobs:bad"])
            self.assertEqual(logs.records[1].levelno, logging.ERROR)
        """,
        "import logging\nlog = logging.getLogger('app.jobs')\ndef task_func(n): log.info('start %d', n); log.error('bad')",
        "import logging\nlog = logging.getLogger('app.jobs')\ndef task_func(n): log.info('start'); log.error('bad')",
        "import logging",
    ),
    "caplog": pytest_case(
        """
        import logging
        from solution import run
        def test_it(caplog):
            with caplog.at_level(logging.DEBUG):
                run()
            assert [r.levelname for r in caplog.records] == ["DEBUG", "WARNING"]
            assert "low disk" in caplog.text
            assert ("jobs", logging.WARNING, "low disk") in caplog.record_tuples
        """,
        "import logging\nL = logging.getLogger('jobs')\ndef run(): L.debug('x'); L.warning('low %s', 'disk')",
        "import logging\nL = logging.getLogger('jobs')\ndef run(): L.debug('x'); L.info('low %s', 'disk')",
    ),
    "assertNoLogs": unittest_case(
        """
        def test_it(self):
            with self.assertNoLogs(level="WARNING"):
                self.assertEqual(task_func(1), 2)
            with self.assertLogs(level="WARNING"):
                task_func(-1)
        """,
        "import logging\ndef task_func(x):\n  if x < 0: logging.warning('negative')\n  return x + 1",
        "import logging\ndef task_func(x):\n  logging.warning('negative')\n  return x + 1",
    ),
    "logging.info replaced": unittest_case(
        """
        @patch("logging.info")
        def test_it(self, info):
            task_func()
            info.assert_called_once_with("done")
        """,
        "import logging\ndef task_func(): logging.info('done')",
        "import logging\ndef task_func(): logging.warning('done')",
        "from unittest.mock import patch",
    ),
    "pytest.warns": pytest_case(
        """
        import pytest
        from solution import old
        def test_it():
            with pytest.warns(DeprecationWarning, match="use new"):
                assert old() == 1
        """,
        "import warnings\ndef old(): warnings.warn('use new()', DeprecationWarning, stacklevel=2); return 1",
        "import warnings\ndef old(): warnings.warn('use new()'); return 1",
    ),
    "warnings recorded": pytest_case(
        """
        import warnings
        from solution import check
        def test_it():
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                check(-1); check(2); check(-3)
            assert [str(w.message) for w in found] == ["negative: -1", "negative: -3"]
            assert issubclass(found[0].category, RuntimeWarning)
        """,
        "import warnings\ndef check(x):\n  if x < 0: warnings.warn(f'negative: {x}', RuntimeWarning)",
        "import warnings\ndef check(x):\n  if x < 0: warnings.warn('negative', RuntimeWarning)",
    ),
    "a warning as an error": pytest_case(
        """
        import warnings, pytest
        from solution import check
        def test_it():
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert check(1) == 1
                with pytest.raises(UserWarning):
                    check(-1)
        """,
        "import warnings\ndef check(x):\n  if x < 0: warnings.warn('negative')\n  return x",
        "def check(x): return x",
    ),
    "assertWarns": unittest_case(
        """
        def test_it(self):
            with self.assertWarnsRegex(FutureWarning, "soon"):
                task_func()
        """,
        "import warnings\ndef task_func(): warnings.warn('gone soon', FutureWarning)",
        "def task_func(): return None",
    ),
    "a warning class of the program's": pytest_case(
        """
        import pytest
        from solution import f, SlowWarning
        def test_it(recwarn):
            with pytest.warns(SlowWarning):
                f()
        """,
        "import warnings\nclass SlowWarning(UserWarning): pass\ndef f(): warnings.warn('slow', SlowWarning)",
        "import warnings\nclass SlowWarning(UserWarning): pass\ndef f(): warnings.warn('slow')",
    ),
}

ASYNC: dict[str, Case] = {
    "asyncio.run": pytest_case(
        "import asyncio\nfrom solution import f\ndef test_it():\n    assert asyncio.run(f(2)) == 4\n",
        "import asyncio\nasync def f(x):\n  await asyncio.sleep(0)\n  return x * 2",
        "async def f(x): return x",
    ),
    "a marked coroutine": pytest_case(
        """
        import asyncio, pytest
        from solution import f
        @pytest.mark.asyncio
        async def test_it():
            assert await f(2) == 4
            assert await asyncio.gather(f(1), f(2)) == [2, 4]
        """,
        "async def f(x): return x * 2",
        "async def f(x): return 4",
    ),
    "an unmarked coroutine and an asynchronous fixture": pytest_case(
        """
        import pytest_asyncio
        from solution import f
        @pytest_asyncio.fixture
        async def two():
            return await f(1)
        async def test_it(two):
            assert two == 2
        """,
        "async def f(x): return x * 2",
        "async def f(x): return x",
    ),
    "IsolatedAsyncioTestCase": Case(
        "unittest",
        dedent("""
            import unittest
            from unittest.mock import AsyncMock
            class TestCases(unittest.IsolatedAsyncioTestCase):
                async def asyncSetUp(self):
                    self.api = AsyncMock()
                    self.api.get.return_value = {"n": 3}
                async def test_it(self):
                    self.assertEqual(await task_func(self.api), 4)
                    self.api.get.assert_awaited_once_with("/n")
            """),
        "async def task_func(api): return (await api.get('/n'))['n'] + 1",
        "async def task_func(api): return 4",
    ),
    "errors and time limits": pytest_case(
        """
        import asyncio, pytest
        from solution import slow, bad
        @pytest.mark.asyncio
        async def test_limit():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(slow(5), timeout=0.05)
            assert await slow(0) == "done"
        @pytest.mark.asyncio
        async def test_error():
            with pytest.raises(ValueError, match="bad"):
                await bad()
        """,
        """
        import asyncio
        async def slow(n):
            await asyncio.sleep(n)
            return "done"
        async def bad(): raise ValueError("bad")
        """,
        "async def slow(n): return 'done'\nasync def bad(): raise ValueError('bad')",
    ),
    "together, not one after the other": pytest_case(
        """
        import asyncio, time
        from solution import wait
        def test_it():
            async def main():
                return await asyncio.gather(*(wait(0.2) for _ in range(5)))
            begun = time.monotonic()
            assert asyncio.run(main()) == [0.2] * 5
            assert time.monotonic() - begun < 0.8
        """,
        "import asyncio\nasync def wait(n):\n  await asyncio.sleep(n)\n  return n",
        "import time\nasync def wait(n):\n  time.sleep(n)\n  return n",
    ),
    "an asynchronous generator": pytest_case(
        """
        import pytest
        from solution import count
        @pytest.mark.asyncio
        async def test_it():
            assert [x async for x in count(3)] == [0, 1, 2]
        """,
        "async def count(n):\n  for i in range(n): yield i",
        "async def count(n):\n  for i in range(n + 1): yield i",
    ),
    "async with": pytest_case(
        """
        import pytest
        from solution import Session
        @pytest.mark.asyncio
        async def test_it():
            async with Session("x") as s:
                assert s.is_open and await s.get("/") == "x/"
            assert not s.is_open
        """,
        """
        class Session:
            def __init__(self, base): self.base = base; self.is_open = False
            async def __aenter__(self): self.is_open = True; return self
            async def __aexit__(self, *error): self.is_open = False
            async def get(self, path): return self.base + path
        """,
        """
        class Session:
            def __init__(self, base): self.base = base; self.is_open = True
            async def __aenter__(self): return self
            async def __aexit__(self, *error): pass
            async def get(self, path): return self.base + path
        """,
    ),
    "a coroutine function as an argument": pytest_case(
        """
        import asyncio
        from solution import twice
        def test_it():
            seen = []
            async def step(x):
                await asyncio.sleep(0)
                seen.append(x)
                return x + 1
            assert asyncio.run(twice(step, 1)) == 3
            assert seen == [1, 2]
        """,
        "async def twice(f, x): return await f(await f(x))",
        "async def twice(f, x): return await f(x) + 1",
    ),
    "a synchronous function that runs its own loop": pytest_case(
        "from solution import f\ndef test_it():\n    assert f([1, 2]) == [1, 4]\n",
        """
        import asyncio
        async def square(x): return x * x
        async def main(xs): return list(await asyncio.gather(*map(square, xs)))
        def f(xs): return asyncio.run(main(xs))
        """,
        "def f(xs): return xs",
    ),
}

OTHERS: dict[str, Case] = {
    "skip and skipif beside passing tests": pytest_case(
        """
        import sys, pytest
        from solution import f
        def test_it():
            assert f(1) == 2
        @pytest.mark.skip(reason="later")
        def test_later():
            assert f(1) == 99
        @pytest.mark.skipif(sys.version_info >= (3, 0), reason="old")
        def test_old():
            assert f(1) == 99
        @pytest.mark.xfail(reason="known")
        def test_known():
            assert f(1) == 99
        """,
        "def f(x): return x + 1",
        "def f(x): return x",
    ),
    "skip and skipUnless in a class": unittest_case(
        """
        def test_it(self):
            self.assertEqual(task_func(1), 2)
        @unittest.skip("network")
        def test_net(self):
            self.assertEqual(task_func(1), 99)
        @unittest.skipUnless(sys.platform == "win32", "windows")
        def test_windows(self):
            self.assertEqual(task_func(1), 99)
        """,
        "def task_func(x): return x + 1",
        "def task_func(x): return x",
        "import sys",
    ),
    "a program that asks for its own arguments, and leaves": pytest_case(
        """
        import pytest
        from solution import main
        def test_it(monkeypatch, capsys, tmp_path):
            monkeypatch.setattr("sys.argv", ["prog", "--n", "3"])
            with pytest.raises(SystemExit) as left:
                main()
            assert left.value.code == 0
            assert capsys.readouterr().out == "0 1 2\\n"
        """,
        "import sys\ndef main():\n    print(*range(int(sys.argv[2])))\n    sys.exit(0)",
        "import sys\ndef main():\n    print(*range(int(sys.argv[2])))\n    sys.exit(1)",
    ),
    "setUpClass, addCleanup, subTest": unittest_case(
        """
        @classmethod
        def setUpClass(cls):
            cls.cases = [(1, 1), (2, 4), (3, 9)]
        def test_it(self):
            done = []
            self.addCleanup(done.clear)
            for x, y in self.cases:
                with self.subTest(x=x):
                    self.assertEqual(task_func(x), y)
        """,
        "def task_func(x): return x * x",
        "def task_func(x): return x * 2 if x < 3 else 9",
    ),
    "importorskip, fixtures, ids, approx, raises": pytest_case(
        """
        import pytest
        math = pytest.importorskip("math")
        from solution import root
        @pytest.fixture(params=[1, 4, 9], ids=["one", "four", "nine"])
        def square(request):
            return request.param
        class TestRoot:
            def test_root(self, square):
                assert root(square) == pytest.approx(math.sqrt(square), rel=1e-6)
            def test_negative(self):
                with pytest.raises(ValueError, match=r"negative: -\\d+"):
                    root(-4)
        @pytest.mark.timeout(5)
        def test_two():
            assert root(2) == pytest.approx(1.41421, abs=1e-4)
        """,
        "def root(x):\n  if x < 0: raise ValueError(f'negative: {x}')\n  return x ** 0.5",
        "def root(x):\n  if x < 0: raise ValueError('negative')\n  return x ** 0.5",
    ),
    "threads of the test": pytest_case(
        """
        import threading
        from solution import Counter
        def test_it():
            c = Counter()
            threads = [threading.Thread(target=lambda: [c.add() for _ in range(20)]) for _ in range(4)]
            for t in threads: t.start()
            for t in threads: t.join()
            assert c.n == 80
        """,
        "class Counter:\n  def __init__(self): self.n = 0\n  def add(self): self.n += 1",
        "class Counter:\n  def __init__(self): self.n = 0\n  def add(self): self.n = 1",
    ),
    "a thread of the program's calls the test": pytest_case(
        """
        from solution import run
        def test_it():
            seen = []
            run(seen.append, [1, 2, 3])
            assert sorted(seen) == [1, 2, 3]
        """,
        """
        import threading
        def run(f, xs):
            ts = [threading.Thread(target=f, args=(x,)) for x in xs]
            for t in ts: t.start()
            for t in ts: t.join()
        """,
        "def run(f, xs): f(1)",
    ),
    "a database connection in memory": unittest_case(
        """
        def setUp(self):
            self.db = sqlite3.connect(":memory:")
            self.db.execute("CREATE TABLE t (id INTEGER, name TEXT)")
        def test_it(self):
            task_func(self.db, [(1, "a"), (2, "b")])
            rows = self.db.execute("SELECT name FROM t ORDER BY id").fetchall()
            self.assertEqual(rows, [("a",), ("b",)])
        """,
        """
        def task_func(db, rows):
            with db:
                cursor = db.cursor()
                cursor.executemany("INSERT INTO t VALUES (?, ?)", rows)
        """,
        "def task_func(db, rows): db.cursor().execute('INSERT INTO t VALUES (1, \"a\")')",
        "import sqlite3",
    ),
    "elapsed time": pytest_case(
        """
        import time
        from solution import wait
        def test_it():
            begun = time.perf_counter()
            wait(0.1)
            assert 0.09 < time.perf_counter() - begun < 2
        """,
        "import time\ndef wait(n): time.sleep(n)",
        "def wait(n): pass",
    ),
}

GROUPS = {
    "files": FILES,
    "state": STATE,
    "mocks": MOCKS,
    "reports": REPORTS,
    "async": ASYNC,
    "others": OTHERS,
}
CASES: dict[str, Case] = {
    f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()
}
