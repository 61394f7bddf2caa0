"""What makes a prefix a store, which stores are refused, and which documents are read."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runfolio import layout
from runfolio.backend import Capabilities
from runfolio.errors import ConfigurationError, FormatError, StoreNotFoundError
from runfolio.store.documents import decode, encode, require
from runfolio.store.opening import open_store
from runfolio.store.wrapping import WrappedBackend
from runfolio.testing import FaultyBackend
from runfolio.testing.scheduling import Schedule
from runfolio.values import dump_json, load_json

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.store.environment import Environment

STORE: dict[str, Any] = {
    "format": 1,
    "wid": "w",
    "store_id": "s",
    "required_features": [],
    "optional_features": [],
}


def test_reading_where_no_store_is(backend: Backend) -> None:
    with pytest.raises(StoreNotFoundError, match="no Runfolio store"):
        open_store(backend, create=False)
    assert [*backend.list()] == []


@pytest.mark.memory_only("a scheduler decides which request comes next")
def test_many_make_it_at_once(backend: Backend) -> None:
    """All of them end up in one store, and one of them made it."""
    schedule = Schedule(backend, seed=5, lose=0.2)
    for at in range(6):
        schedule.actor(
            str(at), lambda world: open_store(world.backend, create=True, environment=world.environment), mortal=False
        )
    schedule.run()
    opened = [actor.outcome for actor in schedule.actors if actor.error is None]
    assert {one.store_id for one in opened} == {open_store(backend, create=False).store_id}  # type: ignore[attr-defined]
    assert len([*backend.list()]) == 1


def test_a_lost_answer(backend: Backend, environment: Environment) -> None:
    assert open_store(FaultyBackend(backend).lose("create"), create=True, environment=environment).created


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"required_features": ["columns-of-gold"]},
        {"store_id": None},
        {"required_features": 1},
        {"format": "1"},
    ],
    ids=str,
)
def test_refused(backend: Backend, changes: dict[str, Any]) -> None:
    backend.put(layout.STORE, encode({**STORE, **changes}))
    for create in (False, True):
        with pytest.raises(FormatError):
            open_store(backend, create=create)


def test_unknown_optional_features_are_ignored(backend: Backend) -> None:
    backend.put(layout.STORE, encode({**STORE, "optional_features": ["glitter"], "new field": {"x": 1}}))
    assert open_store(backend, create=False).optional_features == ("glitter",)


def test_known_required_features(backend: Backend) -> None:
    backend.put(layout.STORE, encode({**STORE, "required_features": ["f"]}))
    assert open_store(backend, create=False, supported=["f"]).required_features == ("f",)


class _Weak(WrappedBackend):
    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(conditional_create=False)


def test_a_place_that_cannot_create_exclusively(backend: Backend) -> None:
    with pytest.raises(ConfigurationError, match="single_writer"):
        open_store(_Weak(backend), create=True)
    assert [*backend.list()] == []
    assert open_store(_Weak(backend), create=True, single_writer=True).created


class _Ignoring(WrappedBackend):
    """Takes a conditional write, and ignores the condition."""

    def create(self, key: str, data: bytes) -> None:
        self.put(key, data)


def test_a_place_that_ignores_the_condition_is_found_out(backend: Backend) -> None:
    with pytest.raises(ConfigurationError, match="single_writer"):
        open_store(_Ignoring(backend), create=True)
    assert [*backend.list()] == []
    assert open_store(_Ignoring(backend), create=True, single_writer=True).created


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text().filter(lambda name: name not in ("format", "wid")), JSON, max_size=6))
def test_documents_come_back_as_they_went_in(fields: dict[str, Any]) -> None:
    """Kinds, non-finite floats, big ints and unknown fields included; the same document gives the same bytes."""
    document = {**fields, "format": 1, "wid": "w"}
    data = encode(document)
    back = decode(data, "k")
    assert encode(back) == data == encode(dict(reversed(document.items())))
    assert _same(back, document)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return type(left) is type(right) and bool(left == right)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff",
        b"{}",
        b'{"format":true,"wid":"w"}',
        b'{"format":0,"wid":"w"}',
        b'{"format":1,"wid":7}',
        b"[" * 100000,
    ],  # deeper than the parser goes
    ids=lambda data: repr(data[:20]),
)
def test_damaged_documents(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        decode(data, "runs/x/start.json")
    assert caught.value.key == "runs/x/start.json"


def test_a_newer_document_names_its_version() -> None:
    with pytest.raises(FormatError, match="format 7"):
        decode(dump_json({"format": 7, "wid": "w"}), "k")


def test_required_fields() -> None:
    require({"rows": 1}, "k", rows=int)
    with pytest.raises(FormatError):
        require({"rows": "1"}, "k", rows=int)


def test_documents_are_utf8_whatever_they_hold() -> None:
    """The name of a file on Linux is any bytes, which Python holds as lone surrogates."""
    name = os.fsdecode(b"caf\xe9")
    data = dump_json({"path": name, "other": "é 🎉"})
    assert json.loads(data.decode("utf-8")) == load_json(data) == {"path": name, "other": "é 🎉"}
