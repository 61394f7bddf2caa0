from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

import runfolio as rf
from runfolio_plugins.azureml_compat.data_prep import run

FRAME = pd.DataFrame({"Sepal Length": [5.1, 4.9], "Species": ["a", "b"]})


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_the_exported_table_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"iris.dprep{suffix}"
    if suffix == ".parquet":
        FRAME.to_parquet(path)
    else:
        FRAME.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    assert run(str(tmp_path / "iris.dprep"), dataflow_idx=0, spark=False).equals(FRAME)


def test_each_data_flow_has_a_table_of_its_own(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "iris.dprep.1.csv", index=False)
    assert run(str(tmp_path / "iris.dprep"), 1).equals(FRAME)
    with pytest.raises(rf.NotFoundError, match=r"iris\.dprep\.csv"):
        run(str(tmp_path / "iris.dprep"))


def test_the_source_of_a_package_is_not_taken_for_its_result(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "iris.csv", index=False)
    (tmp_path / "iris.dprep").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"iris\.dprep\.csv"):
        run(str(tmp_path / "iris.dprep"))


def test_spark_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(rf.ConfigurationError, match="spark"):
        run(str(tmp_path / "iris.dprep"), spark=True)


def test_without_pandas_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FRAME.to_csv(tmp_path / "iris.dprep.csv", index=False)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(rf.MissingDependencyError, match="pip install pandas"):
        run(str(tmp_path / "iris.dprep"))
