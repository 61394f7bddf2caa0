"""The query language: one grammar of `where`, `order_by` and columns for the command line and for Python.

A text is parsed to a small tree (`syntax`) and compiled to Arrow expressions; nothing of it is ever evaluated as code.
What a query needs of each run is a tuple of `Term`; the columns of these come from a function that the caller gives, so
nothing here knows the index.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from runfolio.query.terms import Term

if TYPE_CHECKING:
    from runfolio.query.columns import Column, parse_columns
    from runfolio.query.grammar import query_error
    from runfolio.query.materialising import column_name, materialise
    from runfolio.query.ordering import Order, order_terms, parse_order_by, sort_indices
    from runfolio.query.where import Where, parse_where

__all__ = [
    "Column",
    "Order",
    "Term",
    "Where",
    "column_name",
    "materialise",
    "order_terms",
    "parse_columns",
    "parse_order_by",
    "parse_where",
    "query_error",
    "sort_indices",
]

_HOMES = {
    "columns": ("Column", "parse_columns"),
    "grammar": ("query_error",),
    "materialising": ("column_name", "materialise"),
    "ordering": ("Order", "order_terms", "parse_order_by", "sort_indices"),
    "where": ("Where", "parse_where"),
}


def __getattr__(name: str) -> object:
    """Load the parser and Arrow only when a query is made."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"runfolio.query.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
