"""A new project: its configuration, a sample script that needs nothing but Python, and the files around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runfolio.config import approve, needs_trust, resolve, store_address, trust_url
from runfolio.errors import AlreadyExistsError, ConfigurationError, RunfolioError
from runfolio.history import open_history
from runfolio.names import validate_project
from runfolio_plugins.launch.sample_script import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIGURATION: Final = "runfolio.toml"

_TOML: Final = """\
# Configuration of this project. `runfolio config` prints what holds, and where each value came from.
# Lines that begin with "# " and a key show a setting; take the "# " away to use it.

# The name of the project. By default the name of this folder.
project = {project}

# Where runs are stored: a folder, s3://bucket/prefix, az://container/prefix. By default .runfolio/store in this folder.
{store}

# Folders that are stored with a run besides outputs/.
# capture = ["checkpoints"]

# The largest file that is stored. Larger ones are named in the record and kept for a week. 0 means no limit.
# artifact_limit = "512 MiB"

# CPU, memory, disk, network and GPU during a run.
# [system_metrics]
# enabled = true
# interval = "15s"
"""

_GITIGNORE: Final = """\
# The store of this project and the outputs of runs that were started without Runfolio.
/.runfolio/
/outputs/

__pycache__/
*.pyc
.venv/
.env
"""

_RUNFOLIOIGNORE: Final = """\
# What is not copied for each run. The rules are those of .gitignore, and everything that .gitignore names is ignored as
well. # Ignored files and folders stay reachable for the script: the working copy links to the originals.
/data/
"""

_README: Final = """\
# {name}

    runfolio run train.py                         one run
    runfolio run train.py --learning-rate 0.5     another one
    runfolio list                                 all runs of this project
    runfolio best accuracy                        the run with the highest accuracy
    runfolio info @last                           the record of the last run
    runfolio info @last -a driver_log             what it printed
    runfolio download @last                       its files

Each run executes in a copy of this folder. What a script writes below `outputs/` is stored with the run, and so are the
values that it logs and what it prints. `runfolio.toml` says where.
"""


def make_project(folder: Path, name: str | None, *, store: str | None = None) -> Iterator[str]:
    """Make a project and yield what was done, a line each, with the next steps at the end.

    A store that is named is tried, and made, before anything else: where it cannot be used, no file is written.

    Args:
        folder: the current folder.
        name: of the folder to make; None makes the current folder a project.
        store: written into the configuration.

    Raises:
        InvalidNameError: the name cannot be that of a project.
        ConfigurationError: the store is none, or does not give what several writers need.
        StorageError: the store could not be tried.
        AlreadyExistsError: this is a project already, or the name is taken by a file.
    """
    root = folder / name if name else folder
    project = validate_project(root.resolve().name) if name else resolve(start=folder).project
    configuration = root / _CONFIGURATION
    if configuration.exists():
        raise AlreadyExistsError(f"{configuration} exists: {root} is a project already, and nothing was changed")
    if root.exists() and not root.is_dir():
        raise AlreadyExistsError(f"{root} is a file: choose another name")
    store_line = _store_line(store)
    if store is not None:
        _try_store(folder, store)
        yield "the store can be used"
    root.mkdir(parents=True, exist_ok=True)
    files = {
        _CONFIGURATION: _TOML.format(project=_quoted(project), store=store_line),
        "train.py": SCRIPT,
        ".gitignore": _GITIGNORE,
        ".runfolioignore": _RUNFOLIOIGNORE,
        "README.md": _README.format(name=project),
    }
    shown = Path(name) if name else Path()
    for file, text in files.items():
        try:
            with (root / file).open("x", encoding="utf-8", newline="\n") as writing:
                writing.write(text)
        except FileExistsError:
            yield f"kept     {shown / file} (it was there)"
        else:
            yield f"created  {shown / file}"
    _approve(root, store)
    yield ""
    yield "Next:"
    if name:
        yield f"  cd {name}"
    yield "  runfolio run train.py --learning-rate 0.5"
    yield "  runfolio list"


def _store_line(store: str | None) -> str:
    if store is None:
        return '# store = "s3://bucket/prefix"'
    store_address(resolve({"store": store}))  # raises for what cannot be a store
    if "://" not in store:
        store = str(Path(store).expanduser().absolute())
    return f"store = {_quoted(store)}"


def _approve(root: Path, store: str | None) -> None:
    """Who writes a store into the configuration means it: no second question when it is first used."""
    if store is not None:
        address = store_address(resolve(start=root))
        if needs_trust(address):
            approve(trust_url(address))


def _try_store(folder: Path, store: str) -> None:
    """Try what the store guarantees, and make it.

    Raises:
        RunfolioError: it cannot be used.
    """
    try:
        with open_history(settings=resolve({"store": store}, start=folder)) as history:
            report = history.check()
            for one in report.guarantees:
                if one.required and not one.ok:
                    raise ConfigurationError(
                        f"The store {history.url} cannot be used: {one.name}: {one.detail}; {one.remedy}",
                        key=history.url,
                    )
            history.make_store()
    except RunfolioError as error:
        error.add_note(
            f"No project was made. `runfolio store check {store}` shows what is missing; without --store, runs go into "
            "the folder of the project until you name a store in its runfolio.toml"
        )
        raise


def _quoted(text: str) -> str:
    """A TOML string. Its escapes are those of JSON; characters beyond the basic plane stay as they are."""
    quoted = json.dumps(text, ensure_ascii=False)
    if any(ord(letter) == 0x7F for letter in text):  # noqa: PLR2004 (TOML wants this one escaped, JSON does not)
        raise ConfigurationError(f"{text!r} contains a control character")
    return quoted
