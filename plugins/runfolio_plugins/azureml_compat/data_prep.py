"""`azureml.dataprep.package`: the tables of Workbench's data preparation, from files to which they were exported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio.errors import ConfigurationError, MissingDependencyError, NotFoundError

if TYPE_CHECKING:
    import pandas as pd

_KINDS: Final = (".csv", ".tsv", ".parquet")


def run(package_path: str, dataflow_idx: int = 0, spark: bool = False, **_others: object) -> pd.DataFrame:
    """Return the table that a data flow of a package gave.

    The steps of a package cannot be executed without Workbench. The table is read from a file beside the package to
    which it was
    exported: ``iris.dprep.csv`` for ``iris.dprep`` (``.tsv`` and ``.parquet`` are read too), ``iris.dprep.1.csv`` for
        its second
    data flow. The data source of a package is never taken in its place: it is the table *before* the steps.

    Args:
        package_path: the path of the package, which itself need not exist.
        dataflow_idx: which data flow.
        spark: only pandas tables are given.

    Raises:
        NotFoundError: there is no exported table.
        ConfigurationError: a Spark table was asked for.
        MissingDependencyError: pandas is not installed.
    """
    if spark:
        raise ConfigurationError(
            "azureml.dataprep gives pandas tables here, no Spark tables: call run(..., spark=False)"
        )
    stem = f"{package_path}.{dataflow_idx}" if dataflow_idx else package_path
    found = next((path for kind in _KINDS if (path := Path(f"{stem}{kind}")).is_file()), None)
    if found is None:
        raise NotFoundError(
            f"The data flow {dataflow_idx} of {package_path!r} cannot be executed without Workbench, and there is "
            f"no table '{stem}.csv' to read instead: save the flow's result there (.tsv and .parquet are read too)",
            key=f"{stem}.csv",
        )
    return _read(found)


def _read(path: Path) -> pd.DataFrame:
    try:
        import pandas as pd  # noqa: PLC0415 (only scripts that ask for a table need it)
    except ImportError as error:
        raise MissingDependencyError(
            "azureml.dataprep needs a package that is not installed: pip install pandas"
        ) from error
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
