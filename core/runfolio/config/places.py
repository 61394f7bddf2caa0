"""The folders outside of projects that Runfolio uses: configuration and state of the user and of the site."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Mapping

APPLICATION: Final = "runfolio"
FILE_NAME: Final = "config.toml"
"""The configuration file in the user's and in the site's folder."""


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of this user and this machine.

    Attributes:
        user_config: holds the user's ``config.toml`` and the approved stores.
        user_state: holds the journals of runs on their way to a store.
        site_config: holds the ``config.toml`` of the machine.
        user_cache: holds copies of what is in stores; it may be deleted at any time.
    """

    user_config: Path
    user_state: Path
    site_config: Path
    user_cache: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Places:
        """Return the folders of this platform.

        ``RUNFOLIO_CONFIG_DIR``, ``RUNFOLIO_STATE_DIR``, ``RUNFOLIO_SITE_DIR`` and ``RUNFOLIO_CACHE_DIR`` move them.
        """
        return cls(
            user_config=_moved(environ, "RUNFOLIO_CONFIG_DIR")
            or platformdirs.user_config_path(APPLICATION, appauthor=False),
            user_state=_moved(environ, "RUNFOLIO_STATE_DIR")
            or platformdirs.user_state_path(APPLICATION, appauthor=False),
            site_config=_moved(environ, "RUNFOLIO_SITE_DIR")
            or platformdirs.site_config_path(APPLICATION, appauthor=False),
            user_cache=_moved(environ, "RUNFOLIO_CACHE_DIR")
            or platformdirs.user_cache_path(APPLICATION, appauthor=False),
        )

    @property
    def user_file(self) -> Path:
        """The user's configuration file; it need not exist."""
        return self.user_config / FILE_NAME

    @property
    def site_file(self) -> Path:
        """The site's configuration file; it need not exist."""
        return self.site_config / FILE_NAME

    @property
    def assets(self) -> Path:
        """The folder of copies of assets."""
        return self.user_cache / "assets"

    @property
    def trusted(self) -> Path:
        """The folder of approved stores."""
        return self.user_config / "trusted"


def _moved(environ: Mapping[str, str], variable: str) -> Path | None:
    text = environ.get(variable, "").strip()
    return Path(text).expanduser().absolute() if text else None
