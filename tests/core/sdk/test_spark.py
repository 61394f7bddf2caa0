"""PySpark reads a store in place: the block of ``docs/scale.md``, on the store that the same page makes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.local_only("other programs open the files of the store by their paths")

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"

# One thread, no web pages, nothing beyond this machine; the page then gets this session.
PRELUDE = """
import sys
from pyspark.sql import SparkSession

options = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.session.timeZone": "UTC",
}
builder = SparkSession.builder.master("local[1]")
for name, value in options.items():
    builder = builder.config(name, value)
builder.getOrCreate()
"""
CONCLUSION = """
import json

found = {row["project"]: row["count"] for row in curves.collect()}
types = dict(rows.dtypes)
least = rows.where("name = 'loss' and run_id like '2024%'").selectExpr("min(value) as v", "max(time) as t").first()
copies = spark.read.parquet("history/compact/part-*.parquet")
compacted = copies.where("name = 'loss'").groupBy("project").count().collect()
print("FOUND " + json.dumps([found, types, least["v"], {row["project"]: row["count"] for row in compacted}]))
spark.stop()
"""


def java() -> str | None:
    """The folder of a Java that Spark finds, from JAVA_HOME or from the program on the path."""
    home = os.environ.get("JAVA_HOME")
    program = Path(home, "bin", "java") if home else Path(shutil.which("java") or "")
    return str(program.resolve().parents[1]) if program.is_file() else None


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a Java machine starts, which a busy computer does not hurry
def test_the_documented_block_reads_the_store_in_place() -> None:
    home = java()
    if home is None or importlib.util.find_spec("pyspark") is None:
        pytest.skip("needs Java 17 (package default-jre-headless) and the dependency group spark")
    make, spark = blocks()[0], next(one for one in blocks() if "pyspark" in one)
    compact = "with rf.open_history('history') as h:\n    h.compact()\n"
    Path("script.py").write_text(f"{make}\n{compact}\n{PRELUDE}\n{spark}\n{CONCLUSION}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={**os.environ, "JAVA_HOME": home, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("FOUND ")]
    counts, types, least, compacted = json.loads(line.removeprefix("FOUND "))
    assert counts == {"2024": 200, "a #1 b": 200, "iris": 200}
    assert (types["project"], types["value"], types["time"]) == ("string", "double", "timestamp")
    assert least == 0.01 / 100
    assert compacted == counts
