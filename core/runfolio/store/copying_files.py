"""The files of one writer of a run, copied with their list (Copy 6 of ``docs/design/006-copy.md``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runfolio import layout
from runfolio.errors import FormatError, InvalidKeyError, InvalidNameError
from runfolio.store.manifests import AVAILABLE, decode_manifest, encode_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runfolio.backend import ObjectInfo
    from runfolio.store.carrying import Carrier
    from runfolio.store.desk import Desk
    from runfolio.store.run_folder import RunFolder


class Manifest(NamedTuple):
    """The list of files of one writer.

    Attributes:
        writer: whose.
        key: where it lies.
        data: its bytes.
        rows: what they say.
    """

    writer: str
    key: str
    data: bytes
    rows: list[dict[str, Any]]


def read_manifests(carrier: Carrier, folder: RunFolder) -> dict[str, Manifest]:
    """Read the lists of files in the source, by writer. One that is damaged names no files, and is a problem."""
    found: dict[str, Manifest] = {}
    for writer, key in folder.listing.manifests.items():
        data = carrier.source.get(key)
        found[writer] = Manifest(writer, key, data, _rows(carrier, data, key))
    return found


def loose_files(folder: RunFolder, manifests: Mapping[str, Manifest]) -> list[str]:
    """Keys of files that no list names as stored: their writer was killed, or is about to name them."""
    rows = [row for one in manifests.values() for row in one.rows if row["status"] in AVAILABLE]
    root = layout.run_folder(folder.run_id)
    return sorted(folder.listing.files.keys() - {f"{root}{row['key'] or row['path']}" for row in rows})


def copy_files(
    carrier: Carrier, desk: Desk, folder: RunFolder, manifest: Manifest, there: Mapping[str, ObjectInfo]
) -> None:
    """Copy the files that a writer stored, and then the list that says so.

    Args:
        carrier: the way between the stores.
        desk: where to work in the target.
        folder: the run in the source.
        manifest: the list in the source.
        there: what the target has in the folder of the run.
    """
    writer, key, data, rows = manifest
    stored = carrier.target.get(key) if key in there else b""
    known = _rows(carrier, stored, key) if stored else []
    calls: list[Callable[[], None]] = []
    for row in rows:
        if row["status"] in AVAILABLE and (full := _key_of(carrier, folder, row)) is not None:
            is_known = any(_same(row, one) for one in known)
            calls.append(partial(_copy_file, carrier, folder, full, row, there.get(full), is_known=is_known))
    desk.environment.gather(calls)
    merged = _merged(rows, known)
    wanted = data if merged == rows else encode_manifest(merged, writer)
    if wanted != stored and (merged == rows or merged != known):
        carrier.target.put(key, wanted)
        carrier.wrote(key, len(wanted))


def _rows(carrier: Carrier, data: bytes, key: str) -> list[dict[str, Any]]:
    try:
        return decode_manifest(data, key)
    except FormatError as error:
        carrier.problems.append(f"{error}: it was copied as it is, without the files that it may name")
        return []


def _key_of(carrier: Carrier, folder: RunFolder, row: Mapping[str, Any]) -> str | None:
    try:
        full = layout.artifact(folder.run_id, row["key"] or row["path"])
    except (InvalidKeyError, InvalidNameError) as error:
        carrier.problems.append(f"A file of {folder.run_id} was not copied: {error}")
        return None
    if full not in folder.listing.files:
        carrier.problems.append(f"{full} is missing in the source, though its record says that it was stored")
        return None
    return full


def _copy_file(
    carrier: Carrier, folder: RunFolder, key: str, row: Mapping[str, Any], there: ObjectInfo | None, *, is_known: bool
) -> None:
    size = folder.listing.files[key].size
    # The target's list is put after the files it names. Without it, a copy was killed: its files are not sent again,
    # if they are what they must be.
    if (
        there is not None
        and there.size == size
        and (is_known or carrier.digest(carrier.target, key, size) == row["sha256"])
    ):
        return
    carrier.carry(key, key, size, row["sha256"])


def _same(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    fields = ("path", "key", "size", "sha256")
    return other["status"] in AVAILABLE and all(row[name] == other[name] for name in fields)


def _merged(rows: list[dict[str, Any]], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The source's list, but nothing that the target has is given up for what the source has not."""
    ours = {row["path"]: row for row in rows}
    kept = {row["path"]: row for row in known if row["status"] in AVAILABLE}
    if all(path in ours and ours[path]["status"] in AVAILABLE for path in kept):
        return rows
    merged = ours | {
        path: row for path, row in kept.items() if path not in ours or ours[path]["status"] not in AVAILABLE
    }
    return [row for _, row in sorted(merged.items())]
