"""Targets that configuration describes: ``[targets.NAME]``."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runfolio.config.origins import Origin
from runfolio.config.places import Places
from runfolio.config.redaction import redact_url
from runfolio.config.trust import is_approved
from runfolio.errors import UntrustedStoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS: Final = "address"
"""The option that says which computer gets jobs, and this user's token."""


@dataclass(frozen=True)
class TargetProfile:
    """A target that configuration describes.

    Attributes:
        name: what ``runfolio run --target`` takes.
        kind: the name under which a plugin registered it; by default the same.
        options: handed to the target, which checks them.
        origin: the file that defines it. Like a store, a target comes from one file as a whole.
    """

    name: str
    kind: str
    options: Mapping[str, object] = field(default_factory=dict)
    origin: Origin = field(default_factory=lambda: Origin("default"))


def require_trusted_target(profile: TargetProfile, places: Places | None = None) -> None:
    """Make sure that jobs, with this user's token, may be sent to where a target is.

    What the user or the site says needs no approval; an `address` in a project's file does, as a store does.

    Raises:
        UntrustedStoreError: it must be approved first; the message has the command.
    """
    address = profile.options.get(ADDRESS)
    if profile.origin.kind != "project" or not isinstance(address, str):
        return
    if is_approved(address, places or Places.of(os.environ)):
        return
    raise UntrustedStoreError(
        f"The {profile.origin} has the target {profile.name!r} at {redact_url(address)}, which you have not approved. "
        f"It would get your source and your token. If you trust it, run once: runfolio trust {shlex.quote(address)}",
        key=address,
    )
