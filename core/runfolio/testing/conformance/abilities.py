"""Rules for an ability hold where it is declared; elsewhere its negative rule is run in their place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from runfolio.errors import AlreadyExistsError, ConfigurationError, NotFoundError, StorageError
from runfolio.store.opening import open_store
from runfolio.testing.other_processes import METHODS, peek_and_put, processes

if TYPE_CHECKING:
    from runfolio.backend import Backend

_F = TypeVar("_F", bound=Callable[..., None])
_PATIENCE: Final = 60.0


def refuses_to_be_shared(backend: Backend) -> None:
    """Storage that cannot create exclusively does not become a shared store, and is not overwritten either."""
    with pytest.raises(ConfigurationError):
        open_store(backend, create=True)
    assert [*backend.list()] == [], "the refusal left something in the store"
    stored = b""
    for data in (b"first", b"second"):
        try:
            backend.create("k", data)
        except (AlreadyExistsError, ConfigurationError, StorageError):
            continue
        assert not stored, "a second create of one key succeeded"
        stored = data
    if stored:
        assert backend.get("k") == stored
    else:
        with pytest.raises(NotFoundError):
            backend.get("k")


def shows_no_times(backend: Backend) -> None:
    """Storage that keeps no times of its own shows none: a guess would declare runs lost that live."""
    backend.put("a/b", b"x")
    assert backend.stat("a/b").modified is None
    assert [info.modified for info in backend.list()] == [None]
    assert backend.now() is None


def keeps_to_itself(backend: Backend) -> None:
    """A store that is not shared is not half shared: another process gets our error or an empty store of its own.

    A fork has a copy of what was there, and what it writes stays with it.
    """
    backend.put("mine", b"by the parent")
    for method in METHODS:
        with processes(method, [(peek_and_put, (backend, "mine", "theirs"))], _PATIENCE) as (child,):
            child.go()
            assert child.answer() != "by the parent" or method == "fork"
        with pytest.raises(NotFoundError):
            backend.get("theirs")


ABILITIES: Final[Mapping[str, Callable[[Backend], None]]] = {
    "conditional_create": refuses_to_be_shared,
    "shared": keeps_to_itself,
    "store_time": shows_no_times,
}
"""The fields of `runfolio.backend.Capabilities`, each with the negative rule for backends that do not declare it."""


def needs(ability: str, *, otherwise: Callable[[Backend], None]) -> Callable[[_F], _F]:
    """Mark a rule for an ability. A backend that does not declare it has to keep `otherwise` instead."""

    def mark(rule: _F) -> _F:
        @functools.wraps(rule)
        def either(self: object, backend: Backend, **arguments: Any) -> None:
            if getattr(backend.capabilities, ability):
                rule(self, backend, **arguments)
            else:
                otherwise(backend)

        return either  # type: ignore[return-value]  # of the same signature, as functools.wraps tells pytest

    return mark
