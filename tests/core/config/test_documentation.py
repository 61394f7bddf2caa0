"""The page of the settings names all of them, and the page of the query language all fields."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from runfolio.config import all_settings
from runfolio.config.origins import Origin
from runfolio.config.sources import table_layer
from runfolio.query.fields import ALIASES, FIELDS

_DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.source
def test_every_setting_is_on_the_page_and_no_other() -> None:
    page = (_DOCS / "configuring" / "settings.md").read_text("utf-8")
    table = page.split("## All settings", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\| `([\w.]+)` \|", table, re.MULTILINE) == [one.key for one in all_settings()]
    for one in all_settings():
        for variable in one.variables[1:]:
            assert variable in page


@pytest.mark.source
def test_the_example_file_is_valid() -> None:
    page = (_DOCS / "configuring" / "settings.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    layer = table_layer(tomllib.loads(example), Origin("user", "config.toml"))
    assert layer.values["artifact_limit"][0] == 2 * 1024**3
    assert layer.stores["team"].url == "/mnt/team/history"


@pytest.mark.source
def test_every_field_is_on_the_page_of_the_query_language() -> None:
    page = (_DOCS / "querying.md").read_text("utf-8")
    table = page.split("## Fields", 1)[1].split("\n## ", 1)[0]
    for name in (*FIELDS, *ALIASES):
        assert f"`{name}`" in table
