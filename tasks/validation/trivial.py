"""Programs that solve nothing, to see whether a task's tests notice: what they define is read off it (surface.py).

kind        what the functions do
constant    return one constant, among them expected values that the tests show
echo        return an argument (and so share it); print the input
nothing     nothing at all: an empty program, a body of `pass`, a class whose methods return None or self
empty       return an empty sequence, so that no loop of a test runs
arguments   clear or sort their arguments, then return a constant or an argument
raises      raise what tests expect to be raised; exception classes that are Exception by another name
lies        return an object that is equal to everything and answers to every name
skips       skip the test or leave the process
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sandbox.parsing import parse_expression
from tasks.extraction.extract import program_of
from tasks.grading.grader import compiled
from tasks.types import CallTest, ReferenceTests, StdioTest, Task
from tasks.validation.surface import Class, Function, Surface, parsed, surface_of

CONSTANTS = ("None", "0", "1", "-1", "True", "False", "''", "[]", "{}", "float('nan')", "float('inf')")
_EMPTY = ("()", "set()", "iter(())", "(x for x in ())", "range(0)")
_EMPTY_OF_MODULES = {"numpy": "__import__('numpy').array([])", "pandas": "__import__('pandas').DataFrame()"}
_AFTER_CLEARING = ("None", "0", "-1", "True", "False", "''", "[]")
_PRINTED = ("", "0", "1", "-1", "YES", "NO", "Yes", "No", "True", "False")
_MOST_PARAMETERS = 4  # that are echoed
_LONGEST_LITERAL = 20_000  # characters of an expected value that is put into a program

_CLEAR = """\
def _change(values):
    for value in values:
        if hasattr(value, "clear"):
            value.clear()
        elif hasattr(value, "fill"):
            value.fill(0)
"""
_SORT = """\
def _change(values):
    for value in values:
        if hasattr(value, "sort"):
            value.sort()
"""
_LIAR = """\
class _Liar{base}:
    def __init__(self, *args, **kwargs): pass
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __hash__(self): return 0
{more}
"""
_EVERYTHING = """\
    def __bool__(self): return True
    def __len__(self): return 0
    def __iter__(self): return iter(())
    def __call__(self, *args, **kwargs): return self
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __mod__ = __getitem__ = __call__
    __abs__ = __neg__ = __round__ = __enter__ = __call__
    def __exit__(self, *args): return True
    def __getattr__(self, name): return self
"""


Body = Callable[[Function], str]  # of a function, its lines


@dataclass(frozen=True, slots=True)
class Trivial:
    """`name` says what `program`, a whole one, does."""

    kind: str
    name: str
    program: str


def trivial_programs(task: Task, expected: Sequence[object] = ()) -> list[Trivial]:
    """Each once. `expected` are the values that the reference returns, where it has the expected ones."""
    found = _printing(task) if _is_stdio(task) else _defining(task, expected)
    programs: dict[str, Trivial] = {}
    for one in found:
        program = one.program if task.language != "python" else program_of(one.program, task)
        programs.setdefault(program, Trivial(one.kind, one.name, program))
    return list(programs.values())


def _is_stdio(task: Task) -> bool:
    return isinstance(task.tests, tuple) and isinstance(task.tests[0], StdioTest)


def _defining(task: Task, expected: Sequence[object]) -> Iterator[Trivial]:
    surface = surface_of(task)
    shown = _shown(task, surface, expected)

    for value in dict.fromkeys([*CONSTANTS, *shown]):
        yield Trivial("constant", f"returns {value:.80}", _program(surface, _returns(value)))
    for place in range(_most_parameters(surface)):
        yield Trivial("echo", f"returns argument {place + 1}", _program(surface, _echo(place)))
    yield Trivial("nothing", "an empty program", "pass\n")
    yield Trivial("nothing", "does nothing", _program(surface, _does("pass")))
    if surface.classes:
        yield Trivial("nothing", "methods return self", _program(surface, _own))
        yield Trivial(
            "echo", "a class that keeps its arguments", _program(surface, _does("pass"), keeps=True)
        )
    text = task.prompt + repr(task.tests) if not isinstance(task.tests, ReferenceTests) else task.prompt
    of_modules = [value for name, value in _EMPTY_OF_MODULES.items() if name in text]
    for value in (*_EMPTY, *of_modules):
        yield Trivial("empty", f"returns {value}", _program(surface, _returns(value)))
    for place in range(_most_parameters(surface)):
        yield Trivial(
            "arguments",
            f"sorts its arguments, returns argument {place + 1}",
            _SORT + _program(surface, _changed(_echo(place))),
        )
    if not _called_only(task):
        yield from _for_judges(surface, shown)


def _called_only(task: Task) -> bool:
    """Whether all that tests see of a program is the plain values that calls with fresh arguments return."""
    return (
        isinstance(task.tests, ReferenceTests) or isinstance(task.tests[0], CallTest) or bool(compiled(task))
    )


def _for_judges(surface: Surface, shown: Sequence[str]) -> Iterator[Trivial]:
    if any(_parameter_lists(surface)):
        yield from _changing(surface, shown)
    yield from _raising(surface, shown)
    for base in ("", "(int)", "(float)", "(str)", "(list)", "(dict)"):
        liar = _LIAR.format(base=base, more="" if base else _EVERYTHING)
        what = f"an object{base and f' of a class{base}'} that is equal to everything"
        yield Trivial("lies", f"returns {what}", liar + _program(surface, _returns("_Liar()")))
    yield Trivial(
        "skips", "raises SkipTest", "import unittest\n" + _program(surface, _does("raise unittest.SkipTest"))
    )
    yield Trivial("skips", "leaves the process", "import sys\n" + _program(surface, _does("sys.exit(0)")))


def _changing(surface: Surface, shown: Iterable[str]) -> Iterator[Trivial]:
    """Arguments that a test made and looks at again."""
    results = {value: _returns(value) for value in [*_AFTER_CLEARING, *shown]}
    results |= {f"argument {place + 1}": _echo(place) for place in range(_most_parameters(surface))}
    for value, result in results.items():
        program = _CLEAR + _program(surface, _changed(result))
        yield Trivial("arguments", f"clears its arguments, returns {value:.80}", program)
    yield Trivial("arguments", "sorts its arguments", _SORT + _program(surface, _changed(_does("pass"))))


def _raising(surface: Surface, shown: Sequence[str]) -> Iterator[Trivial]:
    for name in dict.fromkeys([*surface.caught, "Exception", "StopIteration"]):
        yield Trivial("raises", f"raises {name}", _program(surface, _does(f"raise {name}()")))
    names = ", ".join(surface.exceptions)
    for value in dict.fromkeys(["None", *shown]) if names else ():
        program = _program(surface, _returns(value), aliases=True)
        yield Trivial("raises", f"{names} is Exception; returns {value:.80}", program)


def _program(surface: Surface, body: Body, *, keeps: bool = False, aliases: bool = False) -> str:
    """All that the tests ask for, with a body for each function and method.

    `keeps`: what a class is made of becomes its attributes. `aliases`: exceptions are `Exception` itself.
    """
    kind = "{} = Exception\n" if aliases else "class {}(Exception): pass\n"
    parts = [kind.format(name) for name in surface.exceptions]
    parts += [_function(one, body) for one in surface.functions]
    for one in surface.classes:
        parts.append(f"class {one.name}:\n" + "".join(_indented(part) for part in _methods(one, body, keeps)))
    return "\n".join(parts) or "pass\n"


def _methods(one: Class, body: Body, keeps: bool) -> Iterator[str]:
    first = next((method for method in one.methods if method.name == "__init__"), None)
    kept = "".join(f"\n    self.{name} = {name}" for name in first.names) if keeps and first else ""
    head = (
        f"def __init__({first.parameters or 'self'}):"
        if kept and first
        else "def __init__(self, *args, **kwargs):"
    )
    yield f"{head}{kept or ' pass'}\n"
    for method in one.methods:
        if method.name != "__init__":
            yield _function(method, body, owned=True)
    if not one.methods:
        anything = Function("anything", "*args, **kwargs")
        yield f"def __getattr__(self, name):\n{_indented(_function(anything, body))}    return anything\n"


def _function(one: Function, body: Body, *, owned: bool = False) -> str:
    unknown = "self, *args, **kwargs" if owned and one.decorator != "@staticmethod" else "*args, **kwargs"
    parameters = unknown if one.parameters is None else one.parameters
    decorator = f"{one.decorator}\n" if one.decorator else ""
    return f"{decorator}def {one.name}({parameters}):\n{_indented(body(one))}"


def _does(statement: str) -> Body:
    return lambda one: statement


def _returns(value: str) -> Body:
    return _does(f"return {value}")


def _changed(then: Body) -> Body:
    return lambda one: f"_change([{', '.join(one.names)}])\n{then(one)}"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _echo(place: int) -> Body:
    def body(one: Function) -> str:
        if one.parameters is None or one.parameters == "*args, **kwargs":
            return f"return args[{place}] if len(args) > {place} else None"
        return f"return {one.names[min(place, len(one.names) - 1)]}" if one.names else "pass"

    return body


def _own(one: Function) -> str:
    holder = (one.parameters or "").partition(",")[0].strip()
    return f"return {holder}" if holder in ("self", "cls") else "pass"


def _parameter_lists(surface: Surface) -> list[list[str]]:
    methods = (method for one in surface.classes for method in one.methods)
    return [one.names for one in (*surface.functions, *methods)]


def _most_parameters(surface: Surface) -> int:
    counts = [len(names) for names in _parameter_lists(surface)]
    unknown = any(one.parameters is None for one in surface.functions)
    return min(max([*counts, int(unknown)], default=0), _MOST_PARAMETERS)


def _shown(task: Task, surface: Surface, expected: Sequence[object]) -> list[str]:
    """The first and the most frequent expected value, as Python text, where tests or reference show them."""
    if not isinstance(task.tests, ReferenceTests):
        calls = [test for test in task.tests if isinstance(test, CallTest)] or compiled(task)
        expected = [test.expected for test in calls]
    texts = [text for value in expected if (text := literal(value)) is not None] or list(surface.literals)
    texts = [text for text in texts if len(text) <= _LONGEST_LITERAL]
    return list(dict.fromkeys([*texts[:1], *(text for text, _ in Counter(texts).most_common(1))]))


def literal(value: object) -> str | None:
    """Python text of a plain value; None where it has none."""
    try:
        text = repr(value)
    except ValueError:  # an int with too many digits
        return None
    tree = parsed(text)
    if tree is None or len(text) > _LONGEST_LITERAL:
        return None
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if not names <= {"nan", "inf", "set", "frozenset", "range", "bytearray", "Ellipsis"}:
        return None
    replaced = {"nan": "float('nan')", "inf": "float('inf')"}
    return ast.unparse(_Renamed(replaced).visit(tree)) if names & replaced.keys() else text


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return parse_expression(self._names.get(node.id, node.id)).body


def _printing(task: Task) -> Iterator[Trivial]:
    outputs = [test.stdout for test in task.tests if isinstance(test, StdioTest)]  # type: ignore[union-attr]
    shown = [*outputs[:1], *(text for text, _ in Counter(outputs).most_common(1))]
    shown = [text for text in shown if len(text) <= _LONGEST_LITERAL]
    write = _PRINTS[task.language]
    for text in dict.fromkeys([*_PRINTED, *shown]):
        kind, name = ("constant", f"prints {text:.80}") if text else ("nothing", "prints nothing")
        yield Trivial(kind, name, write(text))
    for name, program in _ECHOES[task.language]:
        yield Trivial("echo", name, program)


def _cpp(text: str) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in text.encode("utf-8", "surrogatepass"))
    return f'#include <iostream>\nint main() {{ std::cout << "{octal}"; }}\n'


_PRINTS: dict[str, Callable[[str], str]] = {
    "python": lambda text: f"print({text!r})\n" if text else "pass\n",
    "cpp": _cpp,
}
_READ = "import sys\ntext = sys.stdin.read()\n"
_ECHOES = {
    "python": [
        ("prints its input", _READ + "print(text)\n"),
        ("prints the first line of its input", _READ + "print(text.split('\\n')[0])\n"),
        ("prints the last line of its input", _READ + "print(text.rstrip().split('\\n')[-1])\n"),
        ("prints the first word of its input", _READ + "print(*text.split()[:1])\n"),
        ("prints its input after the first line", _READ + "print(text.partition('\\n')[2])\n"),
    ],
    "cpp": [
        ("prints its input", "#include <iostream>\nint main() { std::cout << std::cin.rdbuf(); }\n"),
        (
            "prints the first word of its input",
            "#include <iostream>\n#include <string>\nint main() { std::string s; std::cin >> s; std::cout << s; }\n",
        ),
    ],
}
