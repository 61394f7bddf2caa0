"""Journals in temporary folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runfolio.ids import new_token, new_uid
from runfolio.journal.spool import Header, Spool
from runfolio.journal.spooled_run import SpooledRun
from runfolio.journal.writer import JournalWriter

MakeRun = Callable[..., tuple[JournalWriter, SpooledRun]]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def make_header() -> Callable[[], Header]:
    def make() -> Header:
        return Header.here(
            run_id="iris_1700000000000-abcde",
            uid=new_uid(),
            writer=f"main.{new_token()}",
            project="iris",
            store="file:///s",
        )

    return make


@pytest.fixture
def make_run(spool: Spool, make_header: Callable[[], Header]) -> Iterator[MakeRun]:
    """Makes a writer and the journal around it; closes them afterwards."""
    made: list[tuple[JournalWriter, SpooledRun]] = []

    def make(**options: Any) -> tuple[JournalWriter, SpooledRun]:
        writer, lock = spool.create(make_header(), **options)
        made.append((writer, SpooledRun.live(writer, lock)))
        return made[-1]

    yield make
    for writer, _ in made:
        writer.close()


@pytest.fixture
def read() -> Callable[[SpooledRun], list[tuple[str, int, Any]]]:
    """Everything in a journal, through Parquet: name, step and value, by name and position."""
    from runfolio.rows.parquet import decode
    from runfolio.rows.view import values

    def all_values(run: SpooledRun) -> list[tuple[str, int, Any]]:
        table = decode(run.encode(0, run.cut(), {}))
        return [(one.name, one.step, one.value) for one in values(table)]

    return all_values
