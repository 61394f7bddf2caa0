"""Who "I" am: the user that runs are recorded under, and that `@last` looks for."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runfolio.config.settings import Settings


def user_id(settings: Settings) -> str:
    """Return the configured user, else the user of the operating system."""
    return settings.user_id or operating_system_user()


def operating_system_user() -> str:
    """Return the login name of this process's user; in a container that has no name for it, ``uid`` and the number."""
    try:
        return getpass.getuser()
    # Python says KeyError, from 3.13 on OSError; ImportError where there is no user database.
    except (KeyError, OSError, ImportError):
        return f"uid{os.getuid()}" if hasattr(os, "getuid") else "unknown"
