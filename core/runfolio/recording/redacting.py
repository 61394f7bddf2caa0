"""Hiding secrets before anything is journaled: the one redactor, with what the plugins of a history know beside it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from runfolio.config import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pluggy

    from runfolio.history import History


def redactor_of(history: History) -> Redactor:
    """Return the redactor that asks the plugins of this history too."""
    return Redactor([partial(_ask, plugin) for plugin in history.plugins.hook.runfolio_redact.get_hookimpls()])


def redact_param(history: History, name: str, value: str) -> str:
    """Return the value of a param with its secrets hidden."""
    return redactor_of(history).value(f"params.{name}", name, value)


def redact_text(history: History, field: str, text: str | None) -> str | None:
    """Return a text about the run, such as a traceback, with the secrets in it hidden."""
    return None if text is None else redactor_of(history).text(field, text)


def redact_properties(history: History, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties with their secrets hidden."""
    redactor = redactor_of(history)
    return {
        name: redactor.value(f"properties.{name}", name, value) if isinstance(value, str) else value
        for name, value in properties.items()
    }


def _ask(plugin: pluggy.HookImpl, field: str, value: str) -> str | None:
    known = {"field": field, "value": value}
    return cast("str | None", plugin.function(*(known[name] for name in plugin.argnames)))
