"""What a function or class says of itself (its signature, its text, its fields), as data between the two sides.

One side tells, the other makes a real `inspect.Signature` or `dataclasses.Field` of it. Nothing told is code, and
nothing is evaluated: annotations that are text stay text.
"""

from __future__ import annotations

import re
import types
from typing import Any

from sandbox.inside.plain import CodecError

# Types that cannot be extended: an object of the program's claims to be of one of them.
_KINDS: tuple[type, ...] = (
    *(types.FunctionType, types.BuiltinFunctionType, types.GeneratorType, types.AsyncGeneratorType),
    *(map, filter, zip, enumerate, reversed, type({}.keys()), type({}.values()), type({}.items())),
)
LIKE = {kind.__name__: kind for kind in _KINDS}
_CODE = ("co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_varnames", "co_name")
_FIELD = ("init", "repr", "hash", "compare", "kw_only")
_NAMES_ONLY = re.compile(r"[\w\s.,|\[\]]*")


# To tell.


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


# To make of what was told; `CodecError` where it makes no sense.


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
