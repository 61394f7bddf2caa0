"""Trees of files for tests: generated, written into a folder, and read back.

Names are those that make trouble: of other cases, in other Unicode forms, no text at all, reserved on Windows.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

from hypothesis import strategies as st

Tree: TypeAlias = dict[str, tuple[str, bytes]]
"""Path -> (``file``, ``exec``, ``link`` or ``folder``, contents or target)."""

NAMES = st.sampled_from(["a", "A", "b", "c.txt", "é", "ﬁ", "x y", "-", "日本", "a\udcff", "con", "trailing.", "n\nl"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
NODES = st.one_of(
    st.tuples(st.sampled_from(["file", "exec"]), st.binary(max_size=40)),
    st.tuples(st.just("link"), st.sampled_from([b"a", b"../b", b"/etc/hostname", b"\xff", b"nowhere"])),
    st.tuples(st.just("folder"), st.just(b"")),
)


def consistent(tree: Tree) -> Tree:
    """Drop what lies below something that is no folder, and folders that are not empty."""
    kept: Tree = {}
    for path in sorted(tree):
        parents = [path[:at] for at, letter in enumerate(path) if letter == "/"]
        if all(tree.get(parent, ("folder", b""))[0] == "folder" for parent in parents):
            kept[path] = tree[path]
    used = {path[:at] for path in kept for at, letter in enumerate(path) if letter == "/"}
    return {path: node for path, node in kept.items() if path not in used}


TREES = st.dictionaries(PATHS, NODES, max_size=8).map(consistent)


def write_tree(root: Path, tree: Tree) -> None:
    """Make a tree in a folder."""
    for path, (kind, content) in tree.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "folder":
            target.mkdir(exist_ok=True)
        elif kind == "link":
            target.symlink_to(os.fsdecode(content))
        else:
            target.write_bytes(content)
            target.chmod(0o755 if kind == "exec" else 0o644)


def read_tree(root: Path, without: Collection[str] = ()) -> Tree:
    """Return the tree in a folder, apart from some paths in it."""
    found: Tree = {}
    waiting = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        for path in folder.iterdir():
            name = f"{prefix}{path.name}"
            if name in without:
                continue
            if path.is_symlink():
                found[name] = ("link", os.fsencode(path.readlink()))
            elif not path.is_dir():
                found[name] = ("exec" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
            elif any(path.iterdir()):
                waiting.append((f"{name}/", path))
            else:
                found[name] = ("folder", b"")
    return found
