"""JMESPath over records in which one name may be a number here, a text there, a list elsewhere and missing in the rest.

The rules are those of JMESPath, except where its Python library would stop with a traceback:

* an ordering comparison between values of two kinds is null, and so false in a filter;
* ``max_by`` and ``min_by`` look at the numbers if there are any, else at the texts, and leave out the rest;
* ``sort_by`` puts numbers first, then texts, then everything else in the order it had.

What was left out is told, with run and field. Every other misfit is an error that names them (see `query_errors`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jmespath import compile as compile_jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from runfolio.errors import QueryError
from runfolio_plugins.cli.plain import Plain, plain
from runfolio_plugins.cli.query_errors import describe, expression_text, kind_of, label, misfit, unreadable

if TYPE_CHECKING:
    from jmespath.parser import ParsedResult
    from jmespath.visitor import _TreeNode

# What the library's own evaluation may raise besides its errors: a text compared with a number, the ceiling of an
# infinity, a slice with step 0, an expression nested too deep.
_MISFITS: Final = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError)
_ARRAY: Final = {"types": ["array"]}
_EXPRESSION: Final = {"types": ["expref"]}
_SHOWN: Final = 3
_RANK: Final = {"number": 0, "text": 1}

Notice: TypeAlias = Callable[[str], None]
"""Told, in one line, what a query left out."""


def search(expression: str, data: Plain, notice: Notice = lambda _text: None) -> Plain:
    """Evaluate a JMESPath expression.

    Args:
        expression: the query.
        data: plain data.
        notice: told what ``max_by``, ``min_by`` and ``sort_by`` could not order.

    Raises:
        QueryError: the expression cannot be read, or does not fit the data. The message names the runs and fields.
    """
    parsed = _parse(expression)
    functions = _Functions(notice)
    interpreter = _Interpreter(Options(custom_functions=functions))
    try:
        found = interpreter.visit(parsed.parsed, data)
    except JMESPathError as error:
        raise QueryError(misfit(expression, parsed.parsed, data, error)) from error
    except _MISFITS as error:
        raise QueryError(misfit(expression, parsed.parsed, data, error)) from error
    if hasattr(found, "expression"):
        raise QueryError(
            f"The query {expression!r} is only a reference (&) to an expression: use it inside of a function"
        )
    return plain(found, sort=False)


def _parse(expression: str) -> ParsedResult:
    with warnings.catch_warnings():
        # `Completed` in backquotes without double quotes is an old spelling of a text, and understood.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        try:
            return compile_jmespath(expression)
        except JMESPathError as error:
            raise QueryError(unreadable(expression, error)) from error
        except _MISFITS as error:
            raise QueryError(unreadable(expression, error)) from error


class _Interpreter(TreeInterpreter):
    """The library's interpreter, in which ordering two values of different kinds gives null."""

    def visit_comparator(self, node: _TreeNode, value: Any) -> Any:
        # docstring inherited
        operator = node["value"]
        left, right = (self.visit(child, value) for child in node["children"])
        if operator not in ("eq", "ne") and (kind_of(left) != kind_of(right) or kind_of(left) not in _RANK):
            return None
        return self.COMPARATOR_FUNC[operator](left, right)


class _Functions(Functions):
    """The library's functions, with those that order by a key made to work on mixed kinds."""

    def __init__(self, notice: Notice) -> None:
        self._notice = notice

    @signature(_ARRAY, _EXPRESSION)  # type: ignore[arg-type]  # the stubs' TypedDict cannot be named at run time
    def _func_max_by(self, array: list[Any], expref: Any) -> Any:
        return self._extreme("max_by", array, expref, max)

    @signature(_ARRAY, _EXPRESSION)  # type: ignore[arg-type]  # likewise
    def _func_min_by(self, array: list[Any], expref: Any) -> Any:
        return self._extreme("min_by", array, expref, min)

    @signature(_ARRAY, _EXPRESSION)  # type: ignore[arg-type]  # likewise
    def _func_sort_by(self, array: list[Any], expref: Any) -> list[Any]:
        keys = [_key(element, expref) for element in array]
        odd = [place for place, key in enumerate(keys) if _kind(key) not in _RANK]
        ranked = [(_RANK[_kind(key)], key, place) for place, key in enumerate(keys) if _kind(key) in _RANK]
        numbers = sorted(item for item in ranked if item[0] == 0)
        texts = sorted(item for item in ranked if item[0] == 1)
        minority = [place for _, _, place in (texts if numbers else [])]
        self._tell("sort_by() put last", array, keys, [*minority, *odd], expref)
        return [array[place] for place in (*(item[2] for item in numbers), *(item[2] for item in texts), *odd)]

    def _extreme(self, function: str, array: list[Any], expref: Any, choose: Callable[..., int]) -> Any:
        keys = [_key(element, expref) for element in array]
        kinds = [_kind(key) for key in keys]
        wanted = next((kind for kind in _RANK if kind in kinds), None)
        places = [place for place, kind in enumerate(kinds) if kind == wanted]
        self._tell(f"{function}() left out", array, keys, sorted({*range(len(array))} - {*places}), expref)
        return array[choose(places, key=keys.__getitem__)] if wanted is not None else None

    def _tell(self, what: str, array: list[Any], keys: list[Any], places: list[int], expref: Any) -> None:
        """Say which elements have a key that cannot be ordered with the others. A missing value is nothing to tell."""
        told = [place for place in places if keys[place] is not None]
        if not told:
            return
        named = [f"{label(array[place], place)} ({describe(keys[place])})" for place in told[:_SHOWN]]
        more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        field = expression_text(expref.expression)
        self._notice(f"{what} {len(told)} of {len(array)}, whose {field} does not compare: {', '.join(named)}{more}")


def _key(element: Any, expref: Any) -> Any:
    return expref.visit(expref.expression, element)


def _kind(key: Any) -> str:
    if isinstance(key, float) and math.isnan(key):
        return "NaN"
    return kind_of(key)
