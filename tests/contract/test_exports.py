"""The public names are what `__all__` says, no more and no less."""

from __future__ import annotations

import importlib
import pkgutil
import types

import pytest

import runfolio


def test_the_list_of_public_names_is_sorted_and_free_of_doubles() -> None:
    assert sorted(set(runfolio.__all__)) == sorted(runfolio.__all__)


@pytest.mark.parametrize("name", runfolio.__all__)
def test_each_public_name_exists(name: str) -> None:
    assert getattr(runfolio, name) is not None


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    modules = {module.name for module in pkgutil.iter_modules(runfolio.__path__)}
    shown = {name for name in dir(runfolio) if not name.startswith("_")}
    leaked = {name for name in shown - set(runfolio.__all__) - modules if name != "annotations"}
    assert set(runfolio.__all__) <= shown | {"__version__"}
    assert leaked == set()


@pytest.mark.parametrize("name", runfolio.__all__)
def test_each_public_name_is_documented(name: str) -> None:
    value = getattr(runfolio, name)
    if isinstance(value, type | types.FunctionType):
        assert (value.__doc__ or "").strip(), f"runfolio.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(runfolio, "no_such_name")  # noqa: B009 - a type checker would refuse the attribute, rightly


@pytest.mark.parametrize("package", ["runfolio", "runfolio_backends", "runfolio_plugins"])
def test_every_all_is_importable(package: str) -> None:
    """A name in `__all__` that does not exist breaks `import *` and documentation tools."""
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{info.name}.__all__ names {name}, which does not exist"
