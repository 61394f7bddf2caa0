"""The errors are part of the contract: their tree, their codes, and that they survive a trip between processes."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest

from runfolio import errors
from runfolio.errors import ErrorKind, RunfolioError

TREE = """
RunfolioError
  AlreadyExistsError (FileExistsError) already_exists
  ConfigurationError (ValueError) configuration
    MissingDependencyError (ImportError) missing_dependency
    UntrustedStoreError untrusted_store
  FormatError format
    IndexDamagedError index_damaged
  InvalidKeyError (ValueError) invalid_key
  InvalidNameError (ValueError) invalid_name
  InvalidValueError (TypeError) invalid_value
  NotFoundError (FileNotFoundError) not_found
    ArtifactNotFoundError artifact_not_found
    AssetNotFoundError asset_not_found
    RunNotFoundError run_not_found
    StoreNotFoundError store_not_found
  PluginError plugin
  QueryError (ValueError) query
  ReadOnlyError read_only
  RunStateError run_state
  StorageError storage
    PermissionDeniedError (PermissionError) permission_denied
    TransientStorageError transient_storage
  TargetError target
"""

KINDS = [
    "error",
    "configuration",
    "missing_dependency",
    "untrusted_store",
    "invalid_key",
    "invalid_name",
    "invalid_value",
    "query",
    "not_found",
    "store_not_found",
    "run_not_found",
    "artifact_not_found",
    "already_exists",
    "read_only",
    "run_state",
    "storage",
    "permission_denied",
    "transient_storage",
    "format",
    "index_damaged",
    "plugin",
    "asset_not_found",
    "target",
]
"""Append only: programs compare these codes."""


def own_subclasses(kind: type[RunfolioError]) -> list[type[RunfolioError]]:
    """Return the direct subclasses that this package defines (tests and plugins may add others)."""
    return sorted(
        (sub for sub in kind.__subclasses__() if sub.__module__ == "runfolio.errors"), key=lambda c: c.__name__
    )


def draw(kind: type[RunfolioError], depth: int = 0) -> str:
    """Return the tree below a class as text."""
    doubles = [base.__name__ for base in kind.__bases__ if getattr(builtins, base.__name__, None) is base]
    words = [kind.__name__, *(f"({name})" for name in doubles if name != "Exception"), kind.kind.value]
    line = "  " * depth + " ".join(words if depth else words[:1]) + "\n"
    return line + "".join(draw(sub, depth + 1) for sub in own_subclasses(kind))


def all_errors(kind: type[RunfolioError] = RunfolioError) -> list[type[RunfolioError]]:
    """Return a class and everything beneath it."""
    return [kind, *(deeper for sub in own_subclasses(kind) for deeper in all_errors(sub))]


def test_the_tree_is_the_published_one() -> None:
    assert TREE.lstrip() == draw(RunfolioError)


def test_codes_are_only_ever_appended() -> None:
    assert KINDS == [kind.value for kind in ErrorKind][: len(KINDS)]


def test_each_class_has_a_code_of_its_own() -> None:
    codes = [kind.kind for kind in all_errors()]
    assert sorted(set(codes)) == sorted(codes)
    assert set(ErrorKind) == set(codes)


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_each_error_survives_pickling(kind: type[RunfolioError], protocol: int) -> None:
    error = kind("what happened, and what to do", backend="s3", key="runs/a/b", operation="create")
    error.add_note("the long story")
    for again in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(error) is type(again)
        assert str(error) == str(again) == "what happened, and what to do"
        assert ("s3", "runs/a/b", "create") == (again.backend, again.key, again.operation)
        assert ["the long story"] == again.__notes__
        assert error.kind is again.kind


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_each_error_can_be_raised_without_anything(kind: type[RunfolioError]) -> None:
    with pytest.raises(kind) as caught:
        raise kind
    assert isinstance(caught.value, RunfolioError)
    assert str(caught.value) == ""


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_each_error_says_what_it_means(kind: type[RunfolioError]) -> None:
    assert (kind.__doc__ or "").strip()
    assert kind.__name__ in (errors.__doc__ or ""), "the tree in the module's docstring misses it"


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    assert [errors.TransientStorageError] == [kind for kind in all_errors() if getattr(kind, "retryable", False)]
