"""What a query can speak of: the words of `where`, `order_by` and columns, resolved to one small value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Source: TypeAlias = Literal["field", "param", "tag", "metric"]
Statistic: TypeAlias = Literal["last", "min", "max", "count"]
Reading: TypeAlias = Literal["number", "text", "present"]


@dataclass(frozen=True, slots=True)
class Term:
    """One value of each run that a query needs.

    Attributes:
        source: where it is found: a built-in field of the record, a param, a tag, or a metric.
        name: its name there.
        statistic: for a metric, which number stands for the series.
        reading: as float64 (bools as 0/1), as text, or only whether it is there. A value of the other kind reads as
            null, so runs that logged a text and runs that logged a number under one name live side by side.
            A time as number is seconds since 1970, in UTC.
    """

    source: Source
    name: str
    statistic: Statistic = "last"
    reading: Reading = "number"
