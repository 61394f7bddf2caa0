"""The places that settings are read from: each gives a layer of checked values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, cast

from runfolio.config import readers
from runfolio.config.origins import ARGUMENT, Origin
from runfolio.config.project import read_toml
from runfolio.config.redaction import is_secret_name, redact_text
from runfolio.config.settings import Setting, all_settings, by_key
from runfolio.config.stores import StoreProfile
from runfolio.config.targets import TargetProfile
from runfolio.errors import ConfigurationError, InvalidNameError
from runfolio.names import validate_project

_STORES: Final = "stores"
_STORE_KEYS: Final = ("url", "options", "single_writer")
_TARGETS: Final = "targets"


@dataclass(frozen=True)
class Layer:
    """What one source says.

    Attributes:
        values: by attribute, each with its source.
        stores: profiles by name.
        targets: likewise.
    """

    values: Mapping[str, tuple[object, Origin]] = field(default_factory=dict)
    stores: Mapping[str, StoreProfile] = field(default_factory=dict)
    targets: Mapping[str, TargetProfile] = field(default_factory=dict)


def explicit_layer(arguments: Mapping[str, object]) -> Layer:
    """Check arguments of a call. Those that are None were not given.

    Raises:
        ConfigurationError: a name is unknown, or a value is wrong.
    """
    values: dict[str, tuple[object, Origin]] = {}
    known = {one.attribute: one for one in all_settings()} | dict(by_key())
    for name, value in arguments.items():
        if value is None:
            continue
        setting = known.get(name)
        if setting is None:
            raise ConfigurationError(f"There is no setting {name!r}{_did_you_mean(name, known)}", key=name)
        values[setting.attribute] = (_read(setting, value, f"The argument {name}"), ARGUMENT)
    return Layer(values)


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Check the environment variables. Empty ones count as not set.

    Raises:
        ConfigurationError: a value is wrong, or two variables for one setting differ.
    """
    values: dict[str, tuple[object, Origin]] = {}
    for setting in all_settings():
        given = {name: environ[name] for name in setting.variables if environ.get(name, "").strip()}
        if len(set(given.values())) > 1:
            raise ConfigurationError(f"{' and '.join(given)} differ: set only one of them", key=setting.key)
        for name, text in given.items():
            value = _read(setting, readers.EnvironmentText(text), f"The environment variable {name}")
            values.setdefault(setting.attribute, (value, Origin("environment", name)))
    return Layer(values)


def misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """Return sentences about variables that are probably misspelt. No errors: other programs may use the prefix."""
    known = [name for setting in all_settings() for name in setting.variables]
    found: list[str] = []
    for name in sorted(environ):
        if name.startswith("RUNFOLIO_") and name not in known:
            meant = get_close_matches(name, known, n=1, cutoff=0.88)
            if meant:
                found.append(f"The environment variable {name} sets nothing; did you mean {meant[0]}?")
    return found


def file_layer(path: Path, origin: Origin) -> Layer:
    """Read and check a configuration file of the user or the site; one that does not exist says nothing.

    Raises:
        ConfigurationError: it cannot be read, or holds an unknown key or a wrong value.
    """
    return table_layer(read_toml(path), origin) if path.is_file() else Layer()


def table_layer(table: Mapping[str, object], origin: Origin, prefix: str = "") -> Layer:
    """Check what a configuration file says.

    Args:
        table: the settings in it.
        origin: the file.
        prefix: what stands before each key in the file: ``tool.runfolio.`` in a ``pyproject.toml``.

    Raises:
        ConfigurationError: it holds an unknown key or a wrong value.
    """
    values: dict[str, tuple[object, Origin]] = {}
    stores: Mapping[str, StoreProfile] = {}
    targets: Mapping[str, TargetProfile] = {}
    tables = {key.split(".", 1)[0] for key in by_key() if "." in key}
    for key, value in _flat(table, tables):
        if key == _STORES:
            stores = _profiles(value, origin, prefix)
            continue
        if key == _TARGETS:
            targets = _target_profiles(value, origin, prefix)
            continue
        setting = by_key().get(key)
        if setting is None:
            raise _unknown(key, value, tables, origin, prefix)
        where = f"{origin.place}: {prefix}{key}"
        values[setting.attribute] = (_checked(setting, _read(setting, value, where), origin, where), origin)
    return Layer(values, stores, targets)


def _flat(table: Mapping[str, object], tables: set[str]) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if key in tables and isinstance(value, Mapping):
            for inner, found in cast("Mapping[str, object]", value).items():
                yield f"{key}.{inner}", found
        else:
            yield key, value


def _unknown(key: str, value: object, tables: set[str], origin: Origin, prefix: str) -> ConfigurationError:
    where = f"{origin.place}: {prefix}{key}"
    if key in tables:
        inner = ", ".join(name for name in by_key() if name.startswith(f"{key}."))
        return ConfigurationError(f"{where} is a table, not {value!r}: it has the keys {inner}", key=key)
    return ConfigurationError(f"{where} is not a setting{_did_you_mean(key, [*by_key(), _STORES, _TARGETS])}", key=key)


def _did_you_mean(word: str, known: Mapping[str, object] | list[str]) -> str:
    choices = list(known)
    # First a key that was written outside of its table: `interval` instead of `system_metrics.interval`.
    meant = [choice for choice in choices if choice.rsplit(".", 1)[-1] == word.rsplit(".", 1)[-1]][:1]
    meant = meant or get_close_matches(word, choices, n=1, cutoff=0.6)
    return f"; did you mean {meant[0]}?" if meant else f". There are: {', '.join(choices)}"


def _read(setting: Setting, value: object, where: str) -> object:
    try:
        found = setting.read(value)
        return validate_project(found) if setting.attribute == "project" and isinstance(found, str) else found
    except (ValueError, InvalidNameError) as error:
        shown = value if isinstance(value, (str, bool, int, float)) else type(value).__name__
        raise ConfigurationError(f"{where}: {str(shown)[:200]!r} is wrong: {error}", key=setting.key) from None


def _checked(setting: Setting, value: object, origin: Origin, where: str) -> object:
    """Paths in files do not depend on the current folder, and a project's file keeps to its project."""
    if setting.attribute != "spool" or not isinstance(value, str):
        return value
    path = Path(value).expanduser()
    if origin.kind == "project":
        root = Path(origin.place).parent
        if path.is_absolute() or ".." in path.parts or value.startswith("~"):
            raise ConfigurationError(
                f"{where}: {value!r} is wrong: a project's file may only name a folder of the project. "
                "Set RUNFOLIO_SPOOL or "
                "the user's file for another",
                key=setting.key,
            )
        return str(root / path)
    if not path.is_absolute():
        raise ConfigurationError(f"{where}: {value!r} is wrong: expected an absolute path", key=setting.key)
    return str(path)


def _profiles(table: object, origin: Origin, prefix: str) -> dict[str, StoreProfile]:
    where = f"{origin.place}: {prefix}{_STORES}"
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} is wrong: write [{prefix}{_STORES}.NAME] with a url", key=_STORES)
    return {str(name): _profile(str(name), value, origin, f"{where}.{name}") for name, value in table.items()}


def _profile(name: str, table: object, origin: Origin, where: str) -> StoreProfile:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} is wrong: expected a table with a url", key=where)
    if not name or name != name.strip() or any(letter in name for letter in "/\\:"):
        raise ConfigurationError(f"{where} is wrong: the name of a store has no / \\ or :", key=where)
    for key in table:
        if key not in _STORE_KEYS:
            raise ConfigurationError(
                f"{where}.{key} is not a setting{_did_you_mean(str(key), [*_STORE_KEYS])}", key=str(key)
            )
    url, options, single = table.get("url"), table.get("options", {}), table.get("single_writer", False)
    if not isinstance(url, str) or not url.strip():
        raise ConfigurationError(f"{where}.url is missing or wrong: expected a path or URL", key=f"{where}.url")
    if not isinstance(options, Mapping):
        raise ConfigurationError(f"{where}.options is wrong: expected a table", key=f"{where}.options")
    _refuse_secrets(options, f"{where}.options")
    if not isinstance(single, bool):
        raise ConfigurationError(
            f"{where}.single_writer is wrong: expected true or false", key=f"{where}.single_writer"
        )
    return StoreProfile(name, url, dict(options), single, origin)


def _target_profiles(table: object, origin: Origin, prefix: str) -> dict[str, TargetProfile]:
    where = f"{origin.place}: {prefix}{_TARGETS}"
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} is wrong: write [{prefix}{_TARGETS}.NAME] with its options", key=_TARGETS)
    return {str(name): _target_profile(str(name), value, origin, f"{where}.{name}") for name, value in table.items()}


def _target_profile(name: str, table: object, origin: Origin, where: str) -> TargetProfile:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} is wrong: expected a table of options", key=where)
    if not name or not name.isprintable() or name != name.strip():
        raise ConfigurationError(f"{where} is wrong: this is no name of a target", key=where)
    options = {str(key): value for key, value in table.items()}
    kind = options.pop("kind", name)
    if not isinstance(kind, str) or not kind:
        raise ConfigurationError(f"{where}.kind is wrong: expected the name of a target", key=f"{where}.kind")
    _refuse_secrets(options, where)
    return TargetProfile(name, kind, options, origin)


def _refuse_secrets(options: Mapping[str, object], where: str) -> None:
    """A file is copied, committed and read by others: what opens a store is no part of it."""
    for key, value in options.items():
        if isinstance(value, Mapping):
            _refuse_secrets(cast("Mapping[str, object]", value), f"{where}.{key}")
        elif isinstance(value, list):
            _refuse_secrets({f"{key}[{at}]": one for at, one in enumerate(value)}, where)
        elif isinstance(value, str) and value and (is_secret_name(str(key)) or redact_text(value) != value):
            raise ConfigurationError(
                f"{where}.{key} is a secret, and configuration files hold none: remove it there (and renew it, if the "
                "file was shared), and leave it to the cloud's own places: a profile of its tools, a role, or the "
                "environment (AWS_PROFILE, AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_CONNECTION_STRING, …)",
                key=f"{where}.{key}",
            )
