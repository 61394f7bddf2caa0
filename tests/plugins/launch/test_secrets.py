"""Secrets that a run comes across are in no stored object: looked for in every byte of the store, unpacked."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import runfolio as rf
from runfolio.snapshot.packing import open_pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module

SECRET = "7h1s-1s-pl4nted"
"""In every secret below, so that one look finds them all."""
TOKEN = f"ghp_{SECRET.replace('-', '')}0123456789"
SIGNED = f"https://acc.blob.core.windows.net/c/f?sv=2024-11-04&sig={SECRET}%3D"
LOGIN = f"https://ann:{SECRET}@example.com/repo.git"
ARGUMENTS = ["--api-key", SECRET, f"--db-password={SECRET}", f"auth.token={SECRET}", TOKEN, SIGNED, LOGIN]
SCRIPT = """
    import os, sys
    from runfolio import get_logger
    run = get_logger()
    run.params["api_key"] = sys.argv[2]
    run.params.update(db={"url": sys.argv[-1], "password": sys.argv[2]}, signed=sys.argv[-2])
    run.log("loss", 0.5)
    raise RuntimeError(f"no answer from {sys.argv[-1]} with token {sys.argv[-3]}, password={sys.argv[2]}")
"""


def contents(store: Path) -> Iterator[tuple[str, bytes]]:
    """Everything that is stored: as it is, and what is packed or compressed also as it was."""
    for path in sorted(store.rglob("*")):
        if path.is_dir():
            continue
        name = path.relative_to(store).as_posix()
        yield name, name.encode() + path.read_bytes()
        if path.suffix == ".pack":
            pack = open_pack(path)
            yield from ((f"{name}: {sha}", pack.read(sha)) for sha in pack.places)
        elif path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            yield name, repr((file.metadata.metadata, file.read().to_pylist())).encode()


def leaks(store: Path) -> list[str]:
    """Where a planted secret is stored, with what stands before it."""
    words = [SECRET.encode(), SECRET.replace("-", "").encode()]
    return [
        f"{name}: …{data[max(0, at - 80) : at].decode('utf-8', 'replace')}"
        for name, data in contents(store)
        for word in words
        if (at := data.find(word)) >= 0
    ]


def notebook(*cells: dict[str, Any]) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)})


def plant(project: Project) -> None:
    """Put secrets where projects have them."""
    project.write(".env", f"TOKEN={SECRET}\n")
    project.write("conf/prod.env", f"DB_PASSWORD={SECRET}\n")
    project.write("key.pem", f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n")
    said = {"cell_type": "code", "source": "print(token)", "metadata": {}, "execution_count": 1}
    output = {"output_type": "stream", "name": "stdout", "text": [f"{TOKEN}\n"]}
    project.write("printed.ipynb", notebook({**said, "outputs": [output]}))
    project.write("written.ipynb", notebook({**said, "source": f"api_key = '{SECRET}'", "outputs": []}))
    project.write("signed.ipynb", notebook({**said, "source": f"pd.read_csv('{SIGNED}')", "outputs": []}))
    subprocess.run(["git", "init", "-q", "."], cwd=project.root, check=True)
    subprocess.run(["git", "remote", "add", "origin", LOGIN], cwd=project.root, check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "first"], cwd=project.root, check=True)


def test_a_tracked_run_stores_no_secret(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(project)
    project.write("train.py", SCRIPT)
    for name in ("WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "MY_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("DATABASE_URL", LOGIN)
    done = project.runfolio("run", "train.py", *ARGUMENTS)
    assert done.returncode == 1
    record = project.last().to_dict()
    assert record["loss"] == 0.5
    assert record["properties"]["GitRemote"] == "https://example.com/repo.git"
    assert [line.split(":")[0] for line in record["properties"]["SnapshotLeftOut"]] == [
        ".env", "conf/prod.env", "key.pem", "printed.ipynb", "signed.ipynb", "written.ipynb",
    ]  # fmt: skip
    assert record["params"]["db.url"] == "https://[redacted]@example.com/repo.git"
    (end,) = (project.root / ".runfolio" / "store").glob("runs/*/*/end-main.*.json")
    assert json.loads(end.read_text())["reason"].startswith("RuntimeError: no answer from https://[redacted]@example")
    # What a script prints, its traceback among it, is its own.
    assert [one for one in leaks(project.root / ".runfolio" / "store") if "logs/driver_log" not in one] == []


def test_the_look_finds_what_is_stored(project: Project) -> None:
    """In a document, in a pack, in rows: otherwise finding nothing would mean nothing."""
    project.write("train.py", f"from runfolio import get_logger\nget_logger().log('{SECRET}', 1)\n")
    project.runfolio("run", "--name", SECRET, "train.py")
    found = leaks(project.root / ".runfolio" / "store")
    assert {one.split("/")[0] for one in found} == {"log", "objects", "runs"}
    assert any("/metrics/" in one for one in found)


def test_a_run_of_the_sdk_stores_no_secret(tmp_path: Path) -> None:
    with rf.open_history(tmp_path / "store", project="p") as history:
        properties = {"Database": LOGIN, "ServiceToken": SECRET}
        run = history.start_run(params={"token": SECRET, "url": SIGNED}, argv=ARGUMENTS, properties=properties)
        run.set_properties({"Later": LOGIN, "api_key": SECRET})
        with pytest.raises(ValueError, match="pl4nted"), run:
            raise ValueError(f"cannot open {SIGNED}, Authorization: Bearer {SECRET}")
        assert history.run(run.id).to_dict()["properties"]["Later"] == "https://[redacted]@example.com/repo.git"
        resumed = history.resume_run(run.id)
        resumed.finish("Failed", reason=f"--password {SECRET}")
    assert leaks(tmp_path / "store") == []
