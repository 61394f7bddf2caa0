"""The `where` of a query: which runs are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

import pyarrow.compute as pc

from runfolio.errors import QueryError
from runfolio.query.compilation import arrays, compiled, expressions
from runfolio.query.fields import similar_field
from runfolio.query.grammar import parse
from runfolio.query.materialising import column_name
from runfolio.query.syntax import HasTag, Node, leaves

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pyarrow as pa

    from runfolio.query.terms import Term


def parse_where(text: str) -> Where:
    """Return the condition that a text describes (``docs/querying.md`` has the language).

    >>> str(parse_where("params.lr<.01 AND max(`val/acc`) > 0.9"))
    'params.lr < 0.01 and max(val/acc) > 0.9'

    Raises:
        QueryError: the text cannot be read. The message shows the place and what was expected.
    """
    return Where(cast("Node", parse(text, "where")))


@final
class Where:
    """A condition on runs. Immutable; its text form can be parsed again.

    Attributes:
        node: the syntax tree.
        terms: what has to be known of each run, each once.
    """

    __slots__ = ("node", "terms")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.terms = _terms(node)

    def expression(self, columns: Mapping[Term, str]) -> pc.Expression:
        """Return the condition as an Arrow expression.

        Args:
            columns: the name of the column that holds each of `terms`, of the types that `materialise` makes.

        Raises:
            QueryError: a term has no column.
        """

        def column(term: Term) -> pc.Expression:
            if term not in columns:
                raise QueryError(f"No column holds the {term.source} {term.name!r} as {term.reading}", key=term.name)
            return pc.field(columns[term])

        found: pc.Expression = compiled(self.node, expressions(column))
        return found

    def filter(self, columns: pa.Table) -> pa.Table:
        """Return the rows of a table for which the condition holds, in their order.

        Args:
            columns: a table with the columns that `materialise` makes of `terms`; others beside them are kept.
        """
        return columns.filter(self.mask(columns))

    def mask(self, columns: pa.Table) -> pa.ChunkedArray[Any]:
        """Return one value a row: true where the condition holds, null where a missing value leaves it open.

        Args:
            columns: a table with the columns that `materialise` makes of `terms`.
        """
        return compiled(self.node, arrays(lambda term: columns[column_name(term)]))

    def hints(self, metrics: Collection[str] = ()) -> list[str]:
        """Return sentences about names that are probably misspelt fields: worth showing when nothing was found.

        Args:
            metrics: names of metrics that exist; these are not doubted.
        """
        found: dict[str, None] = {}
        for leaf in leaves(self.node):
            if isinstance(leaf, HasTag) or leaf.operand.source != "metric" or leaf.operand.called:
                continue
            name = leaf.operand.name
            field = None if name in metrics else similar_field(name)
            if field is not None:
                found[f"{name} is read as the name of a metric; did you mean the field {field}?"] = None
        return list(found)

    def __str__(self) -> str:
        return str(self.node)

    def __repr__(self) -> str:
        return f"parse_where({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        # By text: in the tree, NaN would differ from itself.
        return isinstance(other, Where) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[type[Where], tuple[Node]]:
        return Where, (self.node,)


def _terms(node: Node) -> tuple[Term, ...]:
    """Collect the terms by compiling once: so they cannot differ from what the expression asks for."""
    found: dict[Term, None] = {}

    def column(term: Term) -> pc.Expression:
        found[term] = None
        return pc.field("x")

    compiled(node, expressions(column))
    return tuple(found)
