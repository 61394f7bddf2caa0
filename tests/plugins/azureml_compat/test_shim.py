"""The package `azureml` itself: what importing it does to a process, and where it comes from."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import runfolio as rf
from runfolio_plugins.azureml_compat import shim_folder

ROOT = Path(__file__).parents[3]
DISTRIBUTION = ROOT / "distributions" / "runfolio-azureml"


def run_script(folder: Path, text: str, *paths: Path) -> str:
    """Run a script that finds `azureml` on its path, and return what it printed."""
    script = folder / "script.py"
    script.write_text(text)
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    search = os.pathsep.join([str(shim_folder()), *map(str, paths), *inherited])
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    "statement",
    ["import azureml", "import azureml.logging", "from azureml.logging import get_azureml_logger"],
)
def test_sys_and_os_can_be_used_after_any_import(statement: str, tmp_path: Path) -> None:
    assert run_script(tmp_path, f"{statement}\nprint(os.path.basename(sys.argv[0]))") == "script.py\n"


def test_names_that_the_script_has_bound_stay(tmp_path: Path) -> None:
    text = "os = 'mine'\nfrom azureml.logging import get_azureml_logger\nget_azureml_logger()\nprint(os, sys.argv[1:])"
    assert run_script(tmp_path, text) == "mine []\n"


def test_only_the_script_gets_them(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("import azureml.logging\nfound = sorted({'sys', 'os'} & {*globals()})\n")
    text = (
        "import other, builtins\nprint(other.found, hasattr(builtins, 'sys'), hasattr(builtins, 'os'), sys is not None)"
    )
    assert run_script(tmp_path, text) == "[] False False True\n"


def test_importing_it_and_asking_for_a_logger_starts_no_run_and_loads_nothing_heavy(tmp_path: Path) -> None:
    text = """
from azureml.logging import get_azureml_logger
get_azureml_logger()
import logging, threading
print(sorted({"pyarrow", "fsspec", "numpy", "pandas", "click"} & {*sys.modules}), threading.active_count())
print(logging.root.handlers, logging.getLogger("azureml").handlers, os.listdir("."))
"""
    expected = "[] 1\n[] [] []\n"
    assert run_script(tmp_path, text) == expected


def test_other_parts_of_azureml_can_still_be_imported(tmp_path: Path) -> None:
    """As installed by newer packages, which spread over one `azureml` with `pkgutil`."""
    core = tmp_path / "site" / "azureml" / "core"
    core.mkdir(parents=True)
    (core.parent / "__init__.py").write_text("__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
    (core / "__init__.py").write_text("Workspace = 'theirs'\n")
    text = "from azureml.core import Workspace\nfrom azureml.logging import get_azureml_logger\nprint(Workspace)"
    assert run_script(tmp_path, text, tmp_path / "site") == "theirs\n"


def python_files(folder: Path) -> dict[str, str]:
    """Return texts by relative path."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.py"))}


@pytest.mark.source
def test_the_distribution_holds_the_same_package() -> None:
    assert python_files(DISTRIBUTION / "src") == python_files(shim_folder())


@pytest.mark.source
@pytest.mark.slow
def test_the_wheel_of_the_distribution_holds_nothing_but_azureml(tmp_path: Path) -> None:
    builder = pytest.importorskip("hatchling.builders.wheel")
    (built,) = builder.WheelBuilder(str(DISTRIBUTION)).build(directory=str(tmp_path), versions=["standard"])
    names = [name for name in zipfile.ZipFile(built).namelist() if ".dist-info/" not in name]
    assert set(names) == {*python_files(DISTRIBUTION / "src")}


@pytest.mark.not_in_memory("other processes use the store")
@pytest.mark.clouds_on_request("starts processes")
def test_the_path_of_a_link(store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_STORE", store_url)
    with rf.open_history(store_url) as history:
        with history.start_run(system_metrics=False) as run:
            run.log_bytes("outputs/model.pkl", b"a model")
        history.run(run.id).promote("outputs/model.pkl", name="model.pkl")
    text = """
from azureml.assets import get_local_path
path = get_local_path(os.path.join("assets", "model.pkl.link"))
print(type(path).__name__, os.path.basename(path), open(path).read())
"""
    assert run_script(tmp_path, text) == "str model.pkl a model\n"
