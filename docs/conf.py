"""How the documentation is built: ``sphinx-build docs docs/_build/html``."""

from __future__ import annotations

import tomllib
from pathlib import Path

_project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Runfolio"
author = "The Runfolio authors"
project_copyright = f"2026, {author}"
version = release = _project["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "Runfolio"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = [
    "myst.xref_missing",  # links to files of the source tree; a test follows those within docs/
    "misc.highlighting_failure",  # shown output is not always in the language of its commands
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
default_role = "code"  # single backticks in docstrings
nitpicky = False
