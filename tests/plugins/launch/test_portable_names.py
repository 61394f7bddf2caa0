"""Every file of any file system gets a path that every other one can hold, and no two get the same."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runfolio.names import find_collisions, validate_path
from runfolio_plugins.launch.portable_names import assign_paths, portable_path

PARTS = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.binary(min_size=1, max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"/", b"_").replace(b"\0", b"_"))),
    st.sampled_from(["con", "NUL.txt", "a.", "b ", "...", ". ", "é", "e\u0301", "A", "a", "x" * 255, "%41"]),
).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/".join(["outputs", *parts]))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("outputs/a b/c.txt", "outputs/a b/c.txt"),
        ("outputs/a:b.txt", "outputs/a%3Ab.txt"),
        ("outputs/con.txt", "outputs/%63on.txt"),
        ("outputs/end. ", "outputs/end.%20"),
        ("outputs/new\nline", "outputs/new%0Aline"),
        ("outputs/e\u0301.txt", "outputs/\u00e9.txt"),
        (os.fsdecode(b"outputs/\xff.bin"), "outputs/%FF.bin"),
        ("outputs/new\n\u0300\u0327line", "outputs/new%0A%CC%A7%CC%80line"),
    ],
)
def test_spelling(path: str, expected: str) -> None:
    assert expected == portable_path(path)


@given(PATHS)
def test_every_path_becomes_valid_and_valid_ones_stay(path: str) -> None:
    name = portable_path(path)
    assert name == validate_path(name)
    assert name == portable_path(name)
    assert name.startswith("outputs/")


@given(st.lists(PATHS, max_size=12, unique=True))
def test_no_two_files_meet(paths: list[str]) -> None:
    # What no file system has: one path as file and as folder.
    paths = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
    assigned = assign_paths(paths)
    names = list(assigned.values())
    assert len(paths) == len(set(names))
    assert {} == find_collisions(names)
    assert assigned == assign_paths(reversed(paths))
    for name in names:
        validate_path(name)


def test_what_is_too_long_keeps_its_suffix() -> None:
    name = portable_path("outputs/" + "x" * 255 + ".png")
    assert name.endswith(".png")
    assert name != portable_path("outputs/" + "x" * 254 + "y.png")
    deep = portable_path("outputs/" + "d/" * 400 + "model.pt")
    assert deep.endswith("/model.pt")
