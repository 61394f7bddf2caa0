"""Word for the main writer: how far the other writers of a run on this machine have come. No request is made of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from runfolio.journal.spool import Spool
from runfolio.values import dump_json, load_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILE: Final = "word.json"


def leave_word(journal: Path, sign: Mapping[str, Any]) -> None:
    """Leave word beside the own journal. Where that cannot be done, nothing is missing but the latest values."""
    fresh = journal / f"{_FILE}.new"
    try:
        fresh.write_bytes(dump_json(dict(sign)))
        os.replace(fresh, journal / _FILE)  # noqa: PTH105 (atomic also where there is one already)
    except OSError:
        return


def words_of(run_id: str, journal: Path) -> dict[str, dict[str, Any]]:
    """Return the word that the other writers of a run have left, by writer key.

    Args:
        run_id: the run.
        journal: the journal of the main writer; those of the others lie beside it.
    """
    spool = Spool(journal.parent)
    begin = spool.folder(run_id, "").name
    found: dict[str, dict[str, Any]] = {}
    for folder in spool.journals():
        if folder.name.startswith(begin) and folder != journal:
            try:
                sign = load_json((folder / _FILE).read_bytes())
            except (OSError, ValueError):
                continue  # it has not left any yet, or is done
            if isinstance(sign, dict) and sign.get("run") == run_id and isinstance(sign.get("writer"), str):
                found[sign["writer"]] = sign
    return found
