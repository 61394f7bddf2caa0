"""The settings as people read them: `runfolio config`."""

from __future__ import annotations

import os
from typing import NamedTuple

from runfolio.config.identity import user_id
from runfolio.config.places import Places
from runfolio.config.redaction import HIDDEN, is_secret_name, redact_text, redact_url
from runfolio.config.resolving import store_address
from runfolio.config.settings import Settings, all_settings
from runfolio.config.spool import spool_candidates


class Described(NamedTuple):
    """One line of a description.

    Attributes:
        key: the setting as files spell it.
        value: what holds, secrets hidden.
        origin: where it came from.
    """

    key: str
    value: str
    origin: str


def describe(settings: Settings, places: Places | None = None) -> list[Described]:
    """Return every setting with what holds and where it came from, secrets hidden.

    Raises:
        ConfigurationError: the store's word means nothing.
    """
    address = store_address(settings)
    shown = {
        "store": redact_url(address.url if address.name is None else f"{address.name} ({address.url})"),
        "user_id": user_id(settings),
        "spool": settings.spool or str(spool_candidates(settings, places or Places.of(os.environ))[0]),
    }
    lines: list[Described] = []
    for setting in all_settings():
        value = getattr(settings, setting.attribute)
        text = shown.get(setting.attribute) or _spelled(value)
        lines.append(Described(setting.key, redact_text(text), str(settings.origin(setting.key))))
    for name, profile in sorted(settings.stores.items()):
        origin = str(profile.origin)
        lines.append(Described(f"stores.{name}.url", redact_url(profile.url), origin))
        lines.extend(
            Described(f"stores.{name}.options.{key}", HIDDEN if is_secret_name(key) else _spelled_option(value), origin)
            for key, value in sorted(profile.options.items())
        )
        if profile.single_writer:
            lines.append(Described(f"stores.{name}.single_writer", "true", origin))
    for name, target in sorted(settings.targets.items()):
        origin = str(target.origin)
        lines.append(Described(f"targets.{name}.kind", target.kind, origin))
        lines.extend(
            Described(f"targets.{name}.{key}", _spelled_option(value), origin)
            for key, value in sorted(target.options.items())
        )
    lines.append(Described("root", str(settings.root), str(settings.project_file or "")))
    return lines


def _spelled(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spelled_option(value: object) -> str:
    if isinstance(value, dict):
        inner = (
            f"{key}={HIDDEN if is_secret_name(str(key)) else _spelled_option(found)}" for key, found in value.items()
        )
        return "{" + ", ".join(inner) + "}"
    return redact_text(redact_url(_spelled(value) if not isinstance(value, list) else str(value)))
