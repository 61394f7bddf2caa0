"""Every key of a store, made and taken apart in one place (``docs/format.md``, "Objects").

Keys carry the percent-encoded project name; documents and Parquet columns carry the real one.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from runfolio.errors import InvalidKeyError, InvalidNameError
from runfolio.ids import REVERSED_WIDTH, parse_run_id, reversed_number, unreversed_number
from runfolio.names import decode_project, encode_project, validate_asset, validate_name, validate_path

STORE: Final = "runfolio.json"
LOG: Final = "log/"
FOLD_ADVICE: Final = "log/~fold.json"
INDEX: Final = "index/"
BEATS: Final = "beats/"
RUNS: Final = "runs/"
GC: Final = "gc/"
OBJECTS: Final = "objects/"
COMPACT: Final = "compact/"
ASSETS: Final = "assets/"
VIEWS: Final = "views/"
CHECK: Final = "check/"
SUFFIX: Final = ".json"
_ARTIFACTS: Final = ("outputs/", "logs/")
PACK: Final = ".pack"
PACK_INDEX: Final = ".idx"
LARGEST_SOURCE: Final = 256 * 1024**2
"""Bytes of a source record; a foreign one with more is refused."""
_PACK: Final = re.compile(r"objects/[0-9a-f]{40}(?:\.[A-Za-z0-9]{1,64})?\.pack")
_WRITER: Final = re.compile(r"(?P<name>[A-Za-z0-9_-]{1,64})\.(?P<token>[0-9a-f]{16})")
_SEGMENT: Final = re.compile(rf"(?P<writer>{_WRITER.pattern})-(?P<a>[0-9]+)-(?P<b>[0-9]+)\.parquet")
_COMPACTION: Final = re.compile(rf"{COMPACT}([0-9]{{10,}})\.json")
_ASSET: Final = re.compile(
    rf"{ASSETS}(?P<name>[^/]+)/(?:aliases/(?P<alias>[^/]+)/)?(?P<number>[0-9]{{{REVERSED_WIDTH}}})\.json"
)
_ENTRY: Final = re.compile(
    r"(?P<time>[0-9]{16})-(?P<run>.+)-(?P<kind>start|end|attempt|edit|delete)-(?P<who>[A-Za-z0-9_.-]+)\.json"
)


def validate_writer_name(name: str) -> str:
    """Check the part of a writer key that people read: 1 to 64 of ``A-Za-z0-9_-``.

    Raises:
        InvalidNameError: it holds other characters, or is too long.
    """
    validate_name(name, "writer")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise InvalidNameError(f"A writer name has 1 to 64 of the characters A-Z a-z 0-9 _ -, not {name!r}", key=name)
    return name


def numbers(project: str) -> str:
    """Folder of the number claims of a project."""
    return f"numbers/{encode_project(project)}/"


def number(project: str, value: int) -> str:
    """Key of one number claim."""
    return f"{numbers(project)}{reversed_number(value)}{SUFFIX}"


def number_of(key: str) -> int:
    """The number that a claim's key stands for."""
    return unreversed_number(key.rsplit("/", 1)[1].removesuffix(SUFFIX))


def run_folder(run_id: str) -> str:
    """Folder of a run."""
    project, _, _ = parse_run_id(run_id)
    encoded = encode_project(project)
    return f"{RUNS}{encoded}/{encoded}{run_id[len(project) :]}/"


def run_id_of(key: str) -> str:
    """The id of the run that a key below ``runs/`` belongs to.

    Raises:
        InvalidKeyError: the key does not lie in the folder of a run.
    """
    parts = key.split("/")
    if len(parts) < 4 or parts[0] != "runs" or not parts[2].startswith(f"{parts[1]}_"):  # noqa: PLR2004 (runs/<p>/<id>/…)
        raise InvalidKeyError(f"{key!r} does not lie in the folder of a run", key=key)
    run_id = decode_project(parts[1]) + parts[2][len(parts[1]) :]
    parse_run_id(run_id)
    return run_id


def start(run_id: str) -> str:
    """Key of the start record."""
    return f"{run_folder(run_id)}start.json"


def source(run_id: str) -> str:
    """Key of the source snapshot's record."""
    return f"{run_folder(run_id)}source.json"


def project_of(run_id: str) -> str:
    """The project in a run id.

    Raises:
        InvalidNameError: it is no run id.
    """
    return parse_run_id(run_id).project


def pack(stem: str) -> str:
    """Key of a pack of Git objects."""
    return f"{OBJECTS}{stem}{PACK}"


def pack_index(stem: str) -> str:
    """Key of the index of a pack."""
    return f"{OBJECTS}{stem}{PACK_INDEX}"


def is_pack(key: object) -> bool:
    """Whether this is the key of a pack, as we name them."""
    return isinstance(key, str) and _PACK.fullmatch(key) is not None


def stem_of(key: str) -> str:
    """What a pack and its index have in common: the key without folder and suffix."""
    return key.removeprefix(OBJECTS).removesuffix(PACK).removesuffix(PACK_INDEX)


def family_of(stem: str) -> str:
    """What a pack has in common with those that stand in for it while it is collected as garbage."""
    return stem.split(".", 1)[0]


def attempt(run_id: str, value: int) -> str:
    """Key of the record of attempt `value` (2 or more)."""
    return f"{run_folder(run_id)}attempt-{value}.json"


def end(run_id: str, writer: str) -> str:
    """Key of a writer's end record."""
    return f"{run_folder(run_id)}end-{writer}.json"


def edits(run_id: str) -> str:
    """Folder of the edits of a run."""
    return f"{run_folder(run_id)}edits/"


def edit(run_id: str, stamp: int, token: str) -> str:
    """Key of one edit. The stamp has a fixed width: the last key in the folder has the highest."""
    return f"{edits(run_id)}{stamp:017d}-{token}{SUFFIX}"


def stamp_of(key: str) -> int:
    """The stamp in the key of an edit."""
    return int(key.rsplit("/", 1)[1].split("-", 1)[0])


def live(run_id: str) -> str:
    """Folder of the segments of writers that have not ended."""
    return f"{run_folder(run_id)}live/"


def metrics(run_id: str) -> str:
    """Folder of the merged rows of ended writers: what other engines read."""
    return f"{run_folder(run_id)}metrics/"


class Segment(NamedTuple):
    """The rows ``[first, after)`` of one writer, as the name of a Parquet file says."""

    writer: str
    first: int
    after: int


def segment(folder: str, part: Segment) -> str:
    """Key of a segment in `live` or `metrics`."""
    return f"{folder}{part.writer}-{part.first}-{part.after}.parquet"


def segment_of(key: str) -> Segment | None:
    """What the key of a Parquet file under ``live/`` or ``metrics/`` says, or None for a stranger's file."""
    found = _SEGMENT.fullmatch(key.rsplit("/", 1)[1])
    return Segment(found["writer"], int(found["a"]), int(found["b"])) if found else None


def is_artifact(run_id: str, key: str) -> bool:
    """Whether a key is that of an artifact of this run."""
    return key.startswith(tuple(f"{run_folder(run_id)}{folder}" for folder in _ARTIFACTS))


def artifact(run_id: str, path: str) -> str:
    """Key of an artifact. `path` begins with ``outputs/`` or ``logs/``.

    Raises:
        InvalidKeyError: the path is not allowed or lies elsewhere.
    """
    validate_path(path)
    if not path.startswith(_ARTIFACTS):
        raise InvalidKeyError(f"An artifact lies under outputs/ or logs/, not at {path!r}", key=path)
    return f"{run_folder(run_id)}{path}"


def manifest(run_id: str, writer: str) -> str:
    """Key of the list of files that one writer stored."""
    return f"{run_folder(run_id)}manifest-{writer}.parquet"


def beat(run_id: str, writer: str) -> str:
    """Key of a writer's heartbeat."""
    return f"{BEATS}{run_folder(run_id).rsplit('/', 2)[1]}.{writer}{SUFFIX}"


def beat_of(key: str) -> tuple[str, str] | None:
    """Run id and writer key of a heartbeat's key, or None for a stranger's file."""
    stem = key.removeprefix(BEATS).removesuffix(SUFFIX)
    parts = stem.rsplit(".", 2)
    if len(parts) != 3 or not _WRITER.fullmatch(f"{parts[1]}.{parts[2]}"):  # noqa: PLR2004 (id, name, token)
        return None
    return _decode_id(parts[0]), f"{parts[1]}.{parts[2]}"


class EntryName(NamedTuple):
    """The parts of the name of a log entry. `who` is a writer key, an attempt number or a token."""

    microseconds: int
    run_id: str
    kind: str
    who: str


def entry(name: EntryName) -> str:
    """Key of a log entry. It is derived from journaled facts only, so a replay writes the same key."""
    encoded = run_folder(name.run_id).rsplit("/", 2)[1]
    return f"{LOG}{name.microseconds:016d}-{encoded}-{name.kind}-{name.who}{SUFFIX}"


def entry_of(key: str) -> EntryName | None:
    """What the key of a log entry says, or None for a stranger's file."""
    found = _ENTRY.fullmatch(key.removeprefix(LOG))
    if not found:
        return None
    return EntryName(int(found["time"]), _decode_id(found["run"]), found["kind"], found["who"])


def _decode_id(encoded: str) -> str:
    project, _, rest = encoded.rpartition("_")
    return f"{decode_project(project)}_{rest}"


def checkpoint(sequence: int) -> str:
    """Key of checkpoint `sequence` of the index."""
    return f"{INDEX}{reversed_number(sequence)}.parquet"


def sequence_of(key: str) -> int:
    """The sequence number of a checkpoint's key."""
    return unreversed_number(key.removeprefix(INDEX).removesuffix(".parquet"))


def compaction(sequence: int) -> str:
    """Key of the list of compacted files `sequence`."""
    return f"{COMPACT}{reversed_number(sequence)}{SUFFIX}"


def compaction_of(key: str) -> int | None:
    """The sequence number of a list of compacted files, or None for another object."""
    found = _COMPACTION.fullmatch(key)
    return unreversed_number(found[1]) if found else None


def compacted(token: str) -> str:
    """Key of a file of compacted rows. It sorts behind every list, so that one short listing finds the newest list."""
    return f"{COMPACT}part-{token}.parquet"


def asset_folder(name: str) -> str:
    """Folder of the versions and aliases of an asset."""
    return f"{ASSETS}{encode_project(validate_asset(name))}/"


def asset(name: str, version: int) -> str:
    """Key of one version of an asset."""
    return f"{asset_folder(name)}{reversed_number(version)}{SUFFIX}"


def asset_aliases(name: str, alias: str) -> str:
    """Folder of what an alias of an asset has stood for."""
    return f"{asset_folder(name)}aliases/{encode_project(validate_asset(alias, 'alias'))}/"


def asset_alias(name: str, alias: str, number: int) -> str:
    """Key of one record of an alias; the highest number holds."""
    return f"{asset_aliases(name, alias)}{reversed_number(number)}{SUFFIX}"


class AssetKey(NamedTuple):
    """What the key of an object below ``assets/`` says. `number` is a version, or counts the records of `alias`."""

    name: str
    alias: str | None
    number: int


def asset_of(key: str) -> AssetKey | None:
    """Take the key of a version or alias apart, or None for a stranger's file."""
    found = _ASSET.fullmatch(key)
    if not found:
        return None
    try:
        name = validate_asset(decode_project(found["name"]))
        alias = None if found["alias"] is None else validate_asset(decode_project(found["alias"]), "alias")
    except (InvalidKeyError, InvalidNameError):
        return None
    return AssetKey(name, alias, unreversed_number(found["number"]))
