"""What makes a test a rule: it says what must hold, and nobody replaces it without saying why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeVar

import pytest

KIT_VERSION: Final = 2
"""A stricter rule raises it."""
_F = TypeVar("_F", bound=Callable[..., object])
_T = TypeVar("_T")
_REASON: Final = "_deviates"


def deviates(reason: str) -> Callable[[_F], _F]:
    """Mark a test of yours that replaces a rule of the kit, and say why.

    Raises:
        ValueError: no reason is given.
    """
    if not reason.strip():
        raise ValueError("a deviation needs its reason")

    def mark(function: _F) -> _F:
        setattr(function, _REASON, reason)
        return function

    return mark


def reason_of(function: object) -> str:
    """Return why a test deviates from the rule it replaces, or "" for a rule itself."""
    return str(getattr(function, _REASON, ""))


class Rules:
    """The base of all suites. Refuses subclasses that shadow a rule, or replace none, without saying so."""

    pytestmark: ClassVar = [pytest.mark.runfolio_rule]
    patience: ClassVar[float] = 60.0
    """Seconds after which something that should end is taken to hang. Nothing right comes near it."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in {name for base in cls.__mro__ for name in vars(base) if name.startswith("test_")}:
            first, *others = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
            if others and not reason_of(first):
                raise TypeError(f"{cls.__name__}.{name} replaces a rule of the kit: mark it with @deviates(reason=…)")
            if reason_of(first) and not others:
                raise TypeError(f"{cls.__name__}.{name} deviates from a rule that the kit does not have")

    def within(self, call: Callable[[], _T]) -> _T:
        """Return what a call returns, or fail when it has not come back after `patience` seconds."""
        done: list[_T] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                done.append(call())
            except BaseException as error:  # noqa: BLE001 (the top of a thread: raised in the caller below)
                raised.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self.patience)
        if raised:
            raise raised[0]
        if not done:
            pytest.fail(f"no answer within {self.patience} s")
        return done[0]
