"""Projects with runs whose source is stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runfolio as rf
from runfolio.testing.trees import Tree, read_tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Project:
    """A project, and its store elsewhere."""

    root: Path
    store: str

    def history(self) -> rf.History:
        """Open the history of the project, whatever the current folder is."""
        from runfolio.config import resolve

        settings = resolve({"store": self.store, "project": "proj"}, start=self.root)
        return rf.open_history(settings=settings)

    def run(self) -> rf.Run:
        """Start and end a run with the present source."""
        with (
            self.history() as history,
            history.start_run(snapshot=history.take_snapshot(), system_metrics=False) as run,
        ):
            pass
        return self.history().run(run.id)

    def tree(self) -> Tree:
        """What is in the project."""
        return read_tree(self.root, {".runfolio", ".git", "runfolio.toml"})

    def become(self, tree: Tree) -> None:
        """Replace all that is in the project."""
        import shutil

        for path in self.root.iterdir():
            if path.name in (".runfolio", ".git", "runfolio.toml"):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        write_tree(self.root, tree)


@pytest.fixture
def make_project(make_store_url: Callable[[], str]) -> Callable[[Path], Project]:
    """Make a project below a folder, with a store of its own."""

    def make(folder: Path) -> Project:
        root = folder / "proj"
        root.mkdir(parents=True)
        (root / "runfolio.toml").write_text('project = "proj"\n')
        return Project(root, make_store_url())

    return make


@pytest.fixture
def project(tmp_path: Path, make_project: Callable[[Path], Project]) -> Project:
    """A project."""
    return make_project(tmp_path)
