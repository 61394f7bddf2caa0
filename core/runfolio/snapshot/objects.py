"""Git objects of a snapshot: their ids, and the trees and the commit made of a list of files.

Blobs, trees and commits are Git's, byte for byte, so ids equal those of the `git` program. A commit has no parent, no
author of flesh and no date: the same files are the same commit, on every machine, today and next year. Empty folders,
for which Git has no place, stand in its message.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from runfolio.errors import FormatError, InvalidKeyError
from runfolio.names import validate_source_path

if TYPE_CHECKING:
    from dulwich.objects import Tree

FILE: Final = 0o100644
EXECUTABLE: Final = 0o100755
LINK: Final = 0o120000
REPOSITORY: Final = 0o160000
FOLDER: Final = 0o040000
BLOB_TYPE: Final = 3
TREE_TYPE: Final = 2
COMMIT_TYPE: Final = 1
EMPTY_TREE: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
MOST_ENTRIES: Final = 1_000_000
"""Files and folders of a snapshot; a foreign one with more is refused."""
_DEEPEST: Final = 200
_IDENTITY: Final = b"Runfolio <snapshot@runfolio.invalid>"
_TITLE: Final = b"Snapshot of a project\n"
_EMPTY: Final = b"Empty-Folder: "
_NAMES: Final = {BLOB_TYPE: b"blob", TREE_TYPE: b"tree", COMMIT_TYPE: b"commit"}


class Entry(NamedTuple):
    """One file, link, submodule or empty folder of a snapshot.

    Attributes:
        path: relative to the project, with ``/``; bytes that are no UTF-8 are surrogates, as in `os.fsdecode`.
        mode: `FILE`, `EXECUTABLE`, `LINK`, `REPOSITORY` or `FOLDER` (an empty one), as Git spells it.
        size: bytes; 0 for submodules and folders.
        sha: id of the blob; for a submodule, of its commit.
    """

    path: str
    mode: int
    size: int
    sha: str


@dataclass(frozen=True, slots=True)
class Built:
    """The trees and the commit of a list of entries.

    Attributes:
        commit: id of the commit.
        tree: id of the root tree.
        objects: type and bytes of the commit and of each tree, by id.
        folders: id of the tree of each folder, by path.
    """

    commit: str
    tree: str
    objects: Mapping[str, tuple[int, bytes]]
    folders: Mapping[str, str]


def object_id(kind: int, data: bytes) -> str:
    """Return the id that Git gives an object."""
    return object_hash(kind, len(data), [data])


def object_hash(kind: int, size: int, chunks: Iterable[bytes]) -> str:
    """Return the id of an object whose bytes come in pieces."""
    digest = hash_of(kind, size)
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def hash_of(kind: int, size: int) -> hashlib._Hash:
    """Return the hash that gives the id of an object, once its bytes went in."""
    return hashlib.sha1(b"%s %d\0" % (_NAMES[kind], size), usedforsecurity=False)


def encode_path(path: str) -> bytes:
    """Return a path as Git stores it."""
    return path.encode("utf-8", "surrogateescape")


def decode_path(path: bytes) -> str:
    """Return a path of Git as `Entry.path` has it."""
    return path.decode("utf-8", "surrogateescape")


def printable(path: str) -> str:
    """Return a path for people and for JSON: control characters and bytes that are no text are escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in path)


def build(entries: Iterable[Entry]) -> Built:
    """Make the trees and the commit of a snapshot.

    Args:
        entries: no two of the same path, none below another.
    """
    from dulwich.objects import Tree  # noqa: PLC0415 (slow to load)

    trees: dict[str, Tree] = {"": Tree()}
    empty: list[str] = []
    for entry in sorted(entries):
        if entry.mode == FOLDER:
            empty.append(entry.path)
            continue
        folder, _, name = entry.path.rpartition("/")
        for at in [at for at, letter in enumerate(entry.path) if letter == "/"]:
            trees.setdefault(entry.path[:at], Tree())
        trees[folder].add(encode_path(name), entry.mode, entry.sha.encode())  # type: ignore[arg-type]  # a NewType of bytes
    objects: dict[str, tuple[int, bytes]] = {}
    folders: dict[str, str] = {}
    for path in sorted(trees, key=lambda one: one.count("/") if one else -1, reverse=True):
        data = trees[path].as_raw_string()
        sha = object_id(TREE_TYPE, data)
        objects[sha], folders[path] = (TREE_TYPE, data), sha
        if path:
            parent, _, name = path.rpartition("/")
            trees[parent].add(encode_path(name), FOLDER, sha.encode())  # type: ignore[arg-type]
    root = folders.pop("")
    commit = commit_bytes(root, empty)
    sha = object_id(COMMIT_TYPE, commit)
    objects[sha] = (COMMIT_TYPE, commit)
    return Built(sha, root, objects, folders)


def commit_bytes(tree: str, empty: Iterable[str]) -> bytes:
    """Return the commit of a snapshot."""
    lines = [b"tree " + tree.encode(), b"author " + _IDENTITY + b" 0 +0000", b"committer " + _IDENTITY + b" 0 +0000"]
    told = [_EMPTY + quote_from_bytes(encode_path(path)).encode() + b"\n" for path in sorted(empty)]
    message = _TITLE + (b"\n" if told else b"") + b"".join(told)
    return b"\n".join(lines) + b"\n\n" + message


def read_commit(data: bytes, sha: str) -> tuple[str, list[str]]:
    """Return the tree of a commit, and the empty folders that its message names.

    Raises:
        FormatError: it is no commit of a snapshot.
    """
    head, _, message = data.partition(b"\n\n")
    first = head.split(b"\n", 1)[0]
    tree = first.removeprefix(b"tree ").decode("ascii", "replace")
    if not first.startswith(b"tree ") or not is_sha(tree):
        raise FormatError(f"The commit {sha} names no tree", key=sha)
    lines = [line.removeprefix(_EMPTY) for line in message.split(b"\n") if line.startswith(_EMPTY)]
    if len(lines) > MOST_ENTRIES:
        raise FormatError(f"The commit {sha} names more than {MOST_ENTRIES:,} folders", key=sha)
    return tree, [decode_path(unquote_to_bytes(line)) for line in lines]


def is_sha(text: object) -> bool:
    """Whether this is the id of an object: 40 hexadecimal digits."""
    return isinstance(text, str) and len(text) == 40 and not set(text) - set("0123456789abcdef")  # noqa: PLR2004 (SHA-1)


def walk(commit: str, get: Callable[[str, int], bytes], size_of: Callable[[str], int]) -> list[Entry]:
    """Return the entries of a stored snapshot, sorted by path. Nothing in it is trusted.

    Args:
        commit: id of the commit.
        get: returns the bytes of the object with an id and a type, verified.
        size_of: returns the size of the blob with an id.

    Raises:
        FormatError: a path is not allowed, stands there twice, or the whole is unreasonably large or deep.
    """
    root, empty = read_commit(get(commit, COMMIT_TYPE), commit)
    found = _Walk(commit, size_of)
    waiting = [("", root)]
    while waiting:
        folder, sha = waiting.pop()
        if folder.count("/") > _DEEPEST:
            raise FormatError(f"The snapshot {commit} has more than {_DEEPEST} folders in one another", key=commit)
        for name, mode, child in _tree(get(sha, TREE_TYPE), sha):
            found.take(f"{folder}{name}", mode, child)
            if mode == FOLDER:
                waiting.append((f"{folder}{name}/", child))
    found.take_empty(empty)
    found.refuse_files_as_folders()
    return sorted(found.entries)


class _Walk:
    """What was met on a walk through a snapshot."""

    def __init__(self, commit: str, size_of: Callable[[str], int]) -> None:
        self.entries: list[Entry] = []
        self._taken: set[str] = set()
        self._commit, self._size_of = commit, size_of

    def take(self, path: str, mode: int, sha: str) -> None:
        try:
            validate_source_path(path)
        except InvalidKeyError as error:
            raise FormatError(f"The snapshot {self._commit} cannot be used: {error}", key=self._commit) from error
        if path in self._taken:
            raise FormatError(f"The snapshot {self._commit} has {path!r} twice", key=self._commit)
        if len(self._taken) >= MOST_ENTRIES:
            raise FormatError(f"The snapshot {self._commit} has over {MOST_ENTRIES:,} entries", key=self._commit)
        self._taken.add(path)
        if mode in (FILE, EXECUTABLE, LINK):
            self.entries.append(Entry(path, mode, self._size_of(sha), sha))
        elif mode == REPOSITORY:
            self.entries.append(Entry(path, mode, 0, sha))

    def take_empty(self, paths: Iterable[str]) -> None:
        parents = {path[:at] for path in self._taken for at, letter in enumerate(path) if letter == "/"}
        for path in paths:
            if path not in parents:  # else told to be empty and is not: harmless
                self.take(path, FOLDER, EMPTY_TREE)
                self.entries.append(Entry(path, FOLDER, 0, EMPTY_TREE))

    def refuse_files_as_folders(self) -> None:
        paths = {entry.path for entry in self.entries}
        for path in paths:
            for at, letter in enumerate(path):
                if letter == "/" and path[:at] in paths:
                    raise FormatError(
                        f"The snapshot {self._commit} has {path[:at]!r} as a file and as a folder", key=self._commit
                    )


def _tree(data: bytes, sha: str) -> Iterator[tuple[str, int, str]]:
    from dulwich.errors import ObjectFormatException  # noqa: PLC0415 (slow to load)
    from dulwich.objects import parse_tree  # noqa: PLC0415

    try:
        for name, mode, child in parse_tree(data, 20, strict=True):
            kind = FOLDER if stat.S_IFMT(mode) == FOLDER else mode
            if kind not in (FILE, EXECUTABLE, LINK, REPOSITORY, FOLDER):
                raise FormatError(f"The tree {sha} has an entry of the unknown mode {mode:o}", key=sha)
            if b"/" in name:
                raise FormatError(f"The tree {sha} has the name {name!r}, with a slash", key=sha)
            yield decode_path(name), kind, child.decode("ascii")
    except (ObjectFormatException, ValueError, IndexError) as error:
        raise FormatError(f"The tree {sha} is damaged", key=sha) from error
