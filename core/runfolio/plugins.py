"""Loading plugins, and calling them so that a broken one is named and the rest go on."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Collection, Iterable
from importlib.metadata import entry_points
from typing import Any, Final

import pluggy

from runfolio import hookspecs
from runfolio.errors import ConfigurationError, MissingDependencyError, PluginError

_log: Final = logging.getLogger(__name__)
_DISABLE: Final = "RUNFOLIO_PLUGINS_DISABLED"
BUILTIN_BACKENDS: Final = "builtin_backends"
_TRACE: Final = "RUNFOLIO_TRACE_HOOKS"


class Refusal(str):
    """The note on an exception with which a plugin refused something: who refused what. The reason is the exception."""

    __slots__ = ()


class Plugins:
    """The plugins of one history. Belongs to an object, never to a module.

    Args:
        enabled: names of entry points to load, and no others; None loads all. The built-in backends are always loaded.
        disabled: names of entry points not to load; ``"*"`` loads none. The environment variable
            ``RUNFOLIO_PLUGINS_DISABLED`` (comma-separated) adds to it.
        extra: modules or objects to register besides the entry points.
        strict: raise when a plugin cannot be loaded, instead of skipping it with a warning.
    """

    def __init__(
        self,
        *,
        enabled: Collection[str] | None = None,
        disabled: Collection[str] = (),
        extra: Iterable[object] = (),
        strict: bool = False,
    ) -> None:
        self._manager = pluggy.PluginManager(hookspecs.GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._strict = strict
        self._reported: set[tuple[str, str]] = set()
        self.failed: dict[str, str] = {}
        """Plugins that could not be loaded, each with the reason."""
        from_environment = filter(None, os.environ.get(_DISABLE, "").split(","))
        self._enabled = None if enabled is None else {*enabled, BUILTIN_BACKENDS}
        self._disabled = {*disabled, *(word.strip() for word in from_environment)}
        if os.environ.get(_TRACE):
            self._manager.trace.root.setwriter(lambda text: _log.warning("%s", text.rstrip()))
            self._manager.enable_tracing()
        if "*" not in self._disabled:
            self._load_entry_points()
        for plugin in extra:
            self.register(plugin)

    @property
    def hook(self) -> Any:
        """The hooks, for those whose exceptions reach the caller."""
        return self._manager.hook

    def names(self) -> list[str]:
        """Names of the plugins in use, sorted."""
        return sorted(name for name, plugin in self._manager.list_name_plugin() if plugin is not None)

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a plugin.

        Raises:
            PluginError: it implements a hook that does not exist, or with unknown arguments.
        """
        shown = name or str(getattr(plugin, "__name__", type(plugin).__name__))
        if name is None and self._manager.has_plugin(shown):
            shown = f"{shown}-{id(plugin):x}"
        try:
            self._manager.register(plugin, shown)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
            raise PluginError(f"The plugin {shown!r} cannot be used: {error}", key=shown) from error

    def _load_entry_points(self) -> None:
        seen: set[str] = set()
        for point in sorted(entry_points(group=hookspecs.GROUP), key=lambda one: one.name):
            left_out = point.name in self._disabled or (self._enabled is not None and point.name not in self._enabled)
            if left_out or point.name in seen:
                continue
            seen.add(point.name)
            try:
                self.register(point.load(), point.name)
            except Exception as error:  # a plugin may raise anything while it is imported
                if self._strict:
                    raise PluginError(f"The plugin {point.name!r} cannot be loaded: {error}", key=point.name) from error
                self.failed[point.name] = f"{type(error).__name__}: {error}"
                _log.warning("The plugin %r cannot be loaded and is left out: %s", point.name, self.failed[point.name])

    def notify(self, hook: str, **arguments: object) -> list[Any]:
        """Call an observer hook in each plugin.

        What one raises is reported once with its name, and the others are still called.

        Returns:
            What the plugins returned, None left out.
        """
        results = []
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            wanted = {name: arguments[name] for name in implementation.argnames}
            try:
                result = implementation.function(*(wanted[name] for name in implementation.argnames))
            except Exception as error:  # noqa: BLE001 (isolating plugins is what this method is for)
                self._report(implementation.plugin_name, hook, error)
                continue
            if result is not None:
                results.append(result)
        return results

    def ask(self, hook: str, what: str, **arguments: object) -> None:
        """Ask each plugin whether something may be done. The exception of one that refuses reaches the caller.

        Args:
            hook: the hook, which has a veto.
            what: what may be refused, to stand after "The plugin refused".
            **arguments: those of the hook.

        Raises:
            Exception: whatever the plugin raised, with a `Refusal` among its notes.
        """
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception as error:  # a plugin refuses with whatever it likes
                error.add_note(Refusal(f"The plugin {implementation.plugin_name!r} refused {what}"))
                raise

    def _report(self, plugin: str, hook: str, error: BaseException) -> None:
        if (plugin, hook) not in self._reported:
            self._reported.add((plugin, hook))
            _log.warning("The plugin %r failed in %s and the run goes on", plugin, hook, exc_info=error)

    def registry(self, hook: str) -> dict[str, Registration]:
        """Ask every plugin what it registers through `hook` and return it by name.

        Raises:
            ConfigurationError: two plugins register one name.
            PluginError: a plugin failed.
        """
        found: dict[str, Registration] = {}
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            owner = implementation.plugin_name

            def register(name: str, target: str, *, extra: str | None = None, owner: str = owner) -> None:
                if name in found and found[name].plugin != owner:
                    raise ConfigurationError(
                        f"{name!r} is registered by the plugins {found[name].plugin!r} and {owner!r}: "
                        f"turn one off with the setting 'plugins_disabled'",
                        key=name,
                    )
                found[name] = Registration(name, target, extra, owner)

            try:
                implementation.function(register)
            except ConfigurationError:
                raise
            except Exception as error:
                raise PluginError(f"The plugin {owner!r} failed in {hook}: {error}", key=owner) from error
        return found


class Registration:
    """A class that a plugin announced and that is imported when it is first needed."""

    def __init__(self, name: str, target: str, extra: str | None, plugin: str) -> None:
        self.name = name
        self.target = target
        self.extra = extra
        self.plugin = plugin

    def load(self) -> Callable[..., Any]:
        """Import the class.

        Raises:
            MissingDependencyError: a package it needs is not installed; the message says how to get it.
            PluginError: the target does not exist.
        """
        module, _, attribute = self.target.partition(":")
        try:
            found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            if self.extra is None:
                raise PluginError(
                    f"{self.target} of the plugin {self.plugin!r} cannot be imported: {error}", key=self.name
                ) from error
            raise MissingDependencyError(
                f"{self.name!r} needs a package that is not installed: pip install 'runfolio[{self.extra}]'",
                key=self.name,
            ) from error
        except AttributeError as error:
            raise PluginError(
                f"The plugin {self.plugin!r} names {self.target}, which does not exist", key=self.name
            ) from error
        return found
