"""What is here needs the dependency group `servers`: without it there is nothing to collect, unless all is required."""

from __future__ import annotations

import os
from importlib.util import find_spec

INSTALLED = all(find_spec(name) is not None for name in ("azure", "boto3", "moto"))

# Looking for doctests in it would load all of moto.
collect_ignore = ["moto_application.py"]
collect_ignore_glob = [] if INSTALLED or os.environ.get("RUNFOLIO_REQUIRE_ALL") == "1" else ["*.py"]
