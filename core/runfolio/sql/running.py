"""Running a statement, shut off from everything but its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runfolio.errors import MissingDependencyError, QueryError

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from runfolio.run_set import RunSet
    from runfolio.stored_run import Reader

_SHUT: Final = {
    "enable_external_access": "false",  # no files, no network, no other databases
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",  # a name never means a Python variable
    "temp_directory": "",  # nothing is spilled into the current folder
}


def run_sql(text: str, runs: RunSet, reader: Reader) -> pa.Table:
    """Run a statement over some runs and return its result.

    Args:
        text: one SELECT over the tables ``runs``, ``metrics`` and ``artifacts``.
        runs: the runs that the tables are about.
        reader: reads their rows and files.

    Raises:
        MissingDependencyError: DuckDB is not installed.
        QueryError: the statement cannot be read or run, or wants something else than our tables.
        StorageError: the storage failed.
    """
    try:
        import duckdb  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise MissingDependencyError(
            "SQL needs DuckDB, which is not installed: pip install 'runfolio[sql]'", key="duckdb"
        ) from error
    from runfolio.sql.contents import CONTENTS  # noqa: PLC0415 (loads pyarrow)
    from runfolio.sql.statement import read_statement  # noqa: PLC0415

    options: dict[str, Any] = dict(_SHUT)
    with duckdb.connect(":memory:", config=options) as connection:
        connection.execute("set lock_configuration = true")
        statement = read_statement(connection, text)
        for name in sorted(statement.tables):
            connection.register(name, CONTENTS[name](runs, reader))
        return _result(connection, statement.text)


def _result(connection: DuckDBPyConnection, text: str) -> pa.Table:
    import duckdb  # noqa: PLC0415 (an extra)

    from runfolio.sql.contents import titles  # noqa: PLC0415 (loads pyarrow)

    try:
        relation = connection.sql(text)
    except duckdb.Error as error:
        raise _refused(_located(connection, text) or error, text) from error
    try:
        found: pa.Table = relation.to_arrow_table()
    except duckdb.Error as error:
        raise _refused(error, text) from error
    return found.rename_columns(titles(found.column_names))


def _located(connection: DuckDBPyConnection, text: str) -> Exception | None:
    """The error of a statement that cannot be bound, with the line and the place: `sql` leaves them out."""
    import duckdb  # noqa: PLC0415 (an extra)

    try:
        connection.execute(text)
    except duckdb.Error as error:
        return error
    return None


def _refused(error: Exception, text: str) -> QueryError:
    return QueryError(f"The statement cannot be run: {error}", key=text)
