"""The store against a dict, by chance: Hypothesis looks for a sequence of requests after which they differ."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from runfolio.errors import AlreadyExistsError, ConfigurationError, NotFoundError
from runfolio.testing.conformance.stores import StoreRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FOLDERS: Final = ("", "a/", "a-/", "b/c/")
_MODEL_KEYS: Final = [f"{folder}{name}" for folder in _FOLDERS for name in ("x", "x-", "é")]
"""Few enough to meet again and again."""
_KEY: Final = some.sampled_from(_MODEL_KEYS)
_DATA: Final = some.binary(max_size=40) | some.integers(0, 3).map(lambda size: b"\x05" * size * 70_000)
_PLACE: Final = some.none() | some.integers(0, 50) | some.integers(0, 220_000)


class StoreMachine(RuleBasedStateMachine):
    """Does to a store and to a dict the same, and compares what they answer."""

    kit: ClassVar[ModelConformance]
    parent: ClassVar[Path]
    numbers: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        folder = self.parent / str(next(self.numbers))
        folder.mkdir()
        self.backend = self.kit.make_backend(folder)
        self.model: dict[str, bytes] = {}

    @rule(key=_KEY, data=_DATA)
    def put(self, key: str, data: bytes) -> None:
        """Put, and read what was put."""
        self.backend.put(key, data)
        self.model[key] = data
        assert self.backend.get(key) == data

    @rule(key=_KEY, data=_DATA)
    def put_beside(self, key: str, data: bytes) -> None:
        """Let somebody else put."""
        self.kit.raw_put(self.backend, key, data)
        self.model[key] = data
        assert self.backend.get(key) == data

    @rule(key=_KEY, data=_DATA)
    def create(self, key: str, data: bytes) -> None:
        """Create, which fails exactly where something is."""
        try:
            self.backend.create(key, data)
        except AlreadyExistsError:
            assert key in self.model, f"{key} is said to exist"
        except ConfigurationError:
            assert not self.backend.capabilities.conditional_create
        else:
            assert key not in self.model, f"{key} was created a second time"
            self.model[key] = data

    @rule(keys=some.lists(_KEY, max_size=4))
    def delete(self, keys: list[str]) -> None:
        """Delete."""
        self.backend.delete(keys)
        for key in keys:
            self.model.pop(key, None)

    @rule(key=_KEY, start=_PLACE, end=_PLACE)
    def get(self, key: str, start: int | None, end: int | None) -> None:
        """Get a range."""
        self._compare(key, lambda: self.backend.get(key, start, end), lambda data: data[start:end])

    @rule(key=_KEY, size=some.integers(1, 100_000))
    def get_end(self, key: str, size: int) -> None:
        """Get the last bytes."""
        self._compare(key, lambda: self.backend.get(key, -size), lambda data: data[-size:])

    @rule(key=_KEY)
    def stat(self, key: str) -> None:
        """Stat."""
        self._compare(key, lambda: self.backend.stat(key).size, len)

    @rule(
        prefix=some.sampled_from([*_FOLDERS, "b/", "none/"]),
        start_after=some.just("") | some.sampled_from([*_MODEL_KEYS, "a", "a/", "b/c", "zz"]),
        limit=some.none() | some.integers(0, 8),
    )
    def list(self, prefix: str, start_after: str, limit: int | None) -> None:
        """List."""
        found = [(info.key, info.size) for info in self.backend.list(prefix, start_after=start_after, limit=limit)]
        keys = [key for key in self.model if key.startswith(prefix) and key.encode() > start_after.encode()]
        expected = [(key, len(self.model[key])) for key in sorted(keys, key=str.encode)]
        assert found == expected[:limit]

    @invariant()
    def the_same_objects(self) -> None:
        """Compare all keys and sizes after each step."""
        expected = [(key, len(self.model[key])) for key in sorted(self.model, key=str.encode)]
        assert [(info.key, info.size) for info in self.backend.list()] == expected

    @rule()
    def open_again(self) -> None:
        """Go on with another backend of the same store."""
        self.backend = self.kit.again(self.backend)

    def teardown(self) -> None:
        """Leave nothing open."""
        self.backend.close()

    def _compare(self, key: str, asked: Callable[[], Any], expected: Callable[[bytes], Any]) -> None:
        try:
            answer = asked()
        except NotFoundError:
            assert key not in self.model, f"{key} is said to be missing"
        else:
            assert key in self.model, f"{key} is said to be there"
            assert answer == expected(self.model[key])


class ModelConformance(StoreRules):
    """Sequences of requests that nobody thought of."""

    model_examples: ClassVar[int] = 30
    """How many sequences are tried. They are the same ones each time."""
    model_steps: ClassVar[int] = 30
    """How many requests a sequence has at most."""

    def test_against_a_dict(self, tmp_path: Path) -> None:
        """Whatever is put, created, deleted, read and listed, in any order, the store answers as a dict would."""
        given = {"kit": self, "parent": tmp_path, "numbers": itertools.count()}
        machine = type("StoreMachine", (StoreMachine,), given)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=self.model_examples,
                stateful_step_count=self.model_steps,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate, Phase.shrink],
                print_blob=False,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            ),
        )
