"""What a function or class says of itself (its signature, its text, its fields), as data between the two sides.

One side sends it, the other makes a real `inspect.Signature` or `dataclasses.Field` of it. Nothing of it is code or
is evaluated: annotations that are text stay text.
"""

from __future__ import annotations

import re
import sys
import types
from typing import Any

from sandbox.inside.values.plain import CodecError

# Types that cannot be extended: an object of the program's claims to be of one of them.
_KINDS: tuple[type, ...] = (
    *(types.FunctionType, types.BuiltinFunctionType, types.GeneratorType, types.AsyncGeneratorType),
    *(map, filter, zip, enumerate, reversed, type({}.keys()), type({}.values()), type({}.items())),
)
LIKE = {kind.__name__: kind for kind in _KINDS}
_CODE = ("co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_varnames", "co_name")
_FIELD = ("init", "repr", "hash", "compare", "kw_only")
_NAMES_ONLY = re.compile(r"[\w\s.,|\[\]]*")


# To send.


def signature(function: Any) -> list[Any]:
    """Each parameter's name, kind, default and annotation, and the result's annotation; [] stands for nothing."""
    import inspect  # where a test or program asks

    told = inspect.signature(function)

    def unless_empty(value: Any) -> list[Any]:
        if value is inspect.Parameter.empty:
            return []
        return [
            value if isinstance(value, (type, str, int, float, tuple, list, dict, type(None))) else str(value)
        ]

    return [
        [
            [each.name, int(each.kind), unless_empty(each.default), unless_empty(each.annotation)]
            for each in told.parameters.values()
        ],
        unless_empty(told.return_annotation),
    ]


def code(function: Any) -> dict[str, Any]:
    return {name: getattr(function.__code__, name) for name in _CODE}


def data_fields(cls: Any) -> list[Any]:
    """Of a dataclass: each field's name, type, default and options."""
    import dataclasses

    return [
        [
            field.name,
            field.type if isinstance(field.type, (type, str)) else str(field.type),
            [] if field.default is dataclasses.MISSING else [field.default],
            {name: getattr(field, name, None) for name in _FIELD},
        ]
        for field in dataclasses.fields(cls)
    ]


def of_function(function: Any) -> dict[str, Any]:
    """The texts of one, for `dress`."""
    found = {
        name: getattr(function, name, None) for name in ("__name__", "__qualname__", "__doc__", "__module__")
    }
    return {name: text for name, text in found.items() if type(text) is str}


# To receive; `CodecError` for what makes no sense.


def made_signature(told: Any) -> Any:
    import inspect

    def or_empty(value: Any) -> Any:
        return value[0] if value else inspect.Parameter.empty

    try:
        parameters, result = told
        return inspect.Signature(
            [
                inspect.Parameter(
                    name,
                    inspect._ParameterKind(kind),
                    default=or_empty(default),
                    annotation=or_empty(annotation),
                )
                for name, kind, default, annotation in parameters
            ],
            return_annotation=or_empty(result),
        )
    except (TypeError, ValueError, IndexError, KeyError) as problem:
        raise CodecError(f"no signature: {problem}") from None


def made_code(told: Any) -> Any:
    if type(told) is not dict or told.keys() != set(_CODE):
        raise CodecError("no code's attributes")
    return types.SimpleNamespace(**told)


def made_fields(told: Any) -> dict[str, Any]:
    import dataclasses

    found = {}
    try:
        for name, kind, default, options in told:
            field: Any = dataclasses.field(**{"default": default[0]} if default else {})
            for option in _FIELD:
                setattr(field, option, {True: True, False: False, None: None}[options[option]])
            if type(name) is not str:
                raise CodecError("not the name of a field")
            field.name, field.type, field._field_type = name, kind, dataclasses._FIELD  # type: ignore[attr-defined]
            found[name] = field
    except (TypeError, ValueError, IndexError, KeyError) as problem:
        raise CodecError(f"no fields: {problem}") from None
    return found


def check_annotations(found: Any) -> None:
    """`typing.get_type_hints` evaluates annotations that are text: none may do more than name types."""
    texts = [text for text in found.values() if type(text) is str] if type(found) is dict else [""]
    if not all(map(_NAMES_ONLY.fullmatch, texts)):
        raise CodecError("an annotation that is no type")


def arguments(error: BaseException) -> tuple[Any, ...]:
    """Those that make such an exception: an `OSError` does not keep the file's name among its `args`."""
    if isinstance(error, OSError) and len(error.args) == 2 and error.filename is not None:
        return (*error.args, error.filename)
    return error.args


_KEPT = ("name", "path")  # of ImportError and NameError, past their `__dict__`
_GIVEN = (type(None), bool, int, float, str, bytes)


def more_of(error: BaseException) -> dict[str, object]:
    """What an exception of the standard library's has beside its arguments, and the notes of any."""
    found: dict[str, object] = {}
    if type(error).__module__.partition(".")[0] in sys.stdlib_module_names:
        found = dict(vars(error))
        if isinstance(error, (ImportError, NameError)):
            found |= {name: getattr(error, name, None) for name in _KEPT}
    elif "__notes__" in vars(error):
        found["__notes__"] = vars(error)["__notes__"]
    return {name: value for name, value in found.items() if _is_given(value)}


def give(error: BaseException, found: Any) -> None:
    """What `more_of` found there. Raises `CodecError` where it makes no sense."""
    if type(found) is not dict or not all(
        type(name) is str and _is_given(value) for name, value in found.items()
    ):
        raise CodecError("malformed attributes of an exception")
    for name, value in found.items():
        if name == "__notes__" or name[:1] != "_":
            if name in _KEPT and isinstance(error, (ImportError, NameError)):
                if hasattr(error, name):
                    setattr(error, name, value)
            else:
                vars(error)[name] = value


def _is_given(value: object) -> bool:
    if type(value) is list:
        return all(type(each) is str for each in value)
    return type(value) in _GIVEN
