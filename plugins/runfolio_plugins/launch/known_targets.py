"""Finding a target by its name, with the options that the configuration gives it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from runfolio.config import TargetProfile, require_trusted_target
from runfolio.errors import ConfigurationError
from runfolio.plugins import Plugins

if TYPE_CHECKING:
    from runfolio.config import Settings
    from runfolio.target import Target


def open_target(name: str, settings: Settings) -> Target:
    """Return the target of a name: one of ``[targets.NAME]``, or one that a plugin registered. Nothing is asked of it.

    Raises:
        ConfigurationError: there is no such target, or an option of it is unknown or wrong.
        UntrustedStoreError: a project's file says where it is, and nobody approved that.
    """
    plugins = Plugins(enabled=settings.plugins_enabled, disabled=settings.plugins_disabled)
    known = plugins.registry("runfolio_register_targets")
    profile = settings.targets.get(name, TargetProfile(name, name))
    if profile.kind not in known:
        names = sorted({*known, *settings.targets})
        raise ConfigurationError(
            f"There is no target {profile.kind!r}: known are {', '.join(names) or 'none'}", key=name
        )
    require_trusted_target(profile)
    made = known[profile.kind].load()
    taken = inspect.signature(made).parameters
    unknown = [option for option in profile.options if option not in taken]
    if unknown and not any(one.kind is one.VAR_KEYWORD for one in taken.values()):  # those look at all of them
        raise ConfigurationError(
            f"targets.{name}.{unknown[0]} in {profile.origin.place} is no option of the target {profile.kind!r}: there "
            f"are {', '.join(taken) or 'none'}",
            key=unknown[0],
        )
    target: Target = made(**profile.options)
    return target
