"""I1 to I3, and I4 as far as the folders tell, over mixed scenarios.

And proof that the scenarios can fail: each rule taken out.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runfolio import layout
from runfolio.errors import AlreadyExistsError, RunfolioError, StorageError
from runfolio.store import created, desk, editing, segments, starting
from runfolio.store.documents import encode
from runfolio.testing.scenarios import Trial
from runfolio_backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.memory_only("a scheduler decides which request comes next")

_spaces = count()


def _violations(seed: int, **options: Any) -> list[str]:
    backend = MemoryBackend(f"memory://trial-{next(_spaces)}")
    trial = Trial(backend, seed, **options)
    try:
        trial.play()
        trial.settle()
        return trial.violations()
    finally:
        backend.clear()


_mixed = given(
    seed=st.integers(0, 2**32), kill=st.sampled_from([0.0, 0.005, 0.02, 0.05]), lose=st.sampled_from([0.0, 0.05, 0.3])
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@_mixed
def test_a_few_mixed_scenarios(seed: int, kill: float, lose: float) -> None:
    """Main and more writers, attempts, edits, deletes, readers and replays at once, with kills and lost answers."""
    assert _violations(seed, kill=kill, lose=lose) == []


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@_mixed
def test_mixed_scenarios(seed: int, kill: float, lose: float) -> None:
    """The same, more often."""
    assert _violations(seed, kill=kill, lose=lose) == []


@pytest.mark.parametrize("seed", [19, 46, 49, 189, 256])
def test_known_hard_seeds(seed: int) -> None:
    assert _violations(seed) == []


def _without_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(backend: Any, key: str, data: bytes, wid: str, sent: Any, *rest: object) -> tuple[bool, str, Any]:
        try:
            backend.create(key, data)
        except AlreadyExistsError:
            return False, "another's", sent
        return True, wid, sent

    monkeypatch.setattr(created, "_create", create)


def _doubt_is_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(backend: Any, key: str, data: bytes, wid: str, sent: Any, *rest: object) -> tuple[bool, str, Any]:
        with suppress(AlreadyExistsError, StorageError):
            backend.create(key, data)
        return True, wid, sent

    monkeypatch.setattr(created, "_create", create)


def _without_number_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        starting, "claim_number", lambda at, document: starting.highest_number(at.backend, document["project"]) + 1
    )


def _without_interval_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "cover", list)


def _stamps_from_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editing, "_stamps", lambda backend, run_id: {})


def _without_adoption(monkeypatch: pytest.MonkeyPatch) -> None:
    real = created.create_document

    def create(backend: Any, key: str, document: Any, *rest: Any) -> created.Creation:
        found = real(backend, key, document, *rest)
        return created.Creation(found.ours, found.fresh, dict(document))

    monkeypatch.setattr(desk, "create_document", create)


def _start_swept_with_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def sweep(backend: Any, run_id: str, *rest: object) -> int:
        backend.delete([info.key for info in backend.list(layout.run_folder(run_id))])
        return 0

    monkeypatch.setattr(editing, "sweep_folder", sweep)


def _without_attempt_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    real = desk.Desk.create

    def create(self: desk.Desk, key: str, document: Any) -> created.Creation:
        if "/attempt-" not in key:
            return real(self, key, document)
        self.backend.put(key, encode(document))
        return created.Creation(True, True, dict(document))

    monkeypatch.setattr(desk.Desk, "create", create)


@pytest.mark.parametrize(
    ("rule", "within"),
    [
        (_without_read_back, 5),
        (_doubt_is_success, 20),
        (_without_number_claim, 5),
        (_without_interval_coverage, 40),
        (_stamps_from_clocks, 80),
        (_without_adoption, 60),
        (_start_swept_with_the_rest, 20),
        (_without_attempt_claim, 30),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
def test_each_rule_is_needed(
    rule: Callable[[pytest.MonkeyPatch], None], within: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one rule taken out, one of the first few seeds shows it."""
    rule(monkeypatch)
    for seed in range(within):
        try:
            if _violations(seed):
                return
        except (RunfolioError, AssertionError):
            return  # the broken protocol got stuck in its own contradictions
    pytest.fail("no scenario noticed that the rule is missing")
