"""The JSON documents of a store (``docs/format.md``, "Documents"): fields, bytes, and which versions are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict

from runfolio.errors import FormatError
from runfolio.layout import LARGEST_SOURCE
from runfolio.values import dump_json, load_json

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = 1
"""The version of the format that this code writes, and the newest that it reads."""
SINGLE_WRITER: Final = "single-writer"
"""Required feature of a store that was made for one writer at a time, as its place cannot create exclusively."""
SUPPORTED_FEATURES: Final = frozenset({SINGLE_WRITER})
"""Required features of a store that this code knows."""


class Document(TypedDict):
    """What every document has.

    Attributes:
        format: version of the format.
        wid: write id, fixed before the first request about the object.
    """

    format: int
    wid: str


class StoreDocument(Document):
    """``runfolio.json``."""

    store_id: str
    required_features: list[str]
    optional_features: list[str]


class NumberDocument(Document):
    """``numbers/<p>/<rev n>.json``."""

    run: str


class StartDocument(Document):
    """``start.json``. Its wid is the uid."""

    kind: Literal["start"]
    run: str
    uid: str
    number: int | None
    project: str
    experiment: str | None
    script: str | None
    argv: list[str]
    name: str | None
    note: str | None
    tags: list[str]
    target: str
    user_id: str | None
    main: str
    parent: str | None
    created: str
    started: str
    host: str | None
    properties: dict[str, Any]
    packages: NotRequired[dict[str, str]]
    params: dict[str, Any]
    snapshot: str | None
    packs: NotRequired[list[str]]
    listed_by: NotRequired[str | None]
    mode: str


class SourceDocument(Document):
    """``source.json``. A path is a text, or ``{"hex": …}`` where its bytes are no UTF-8."""

    kind: Literal["source"]
    run: str
    commit: str
    tree: str
    packs: list[str]
    files: list[list[Any]]
    trees: list[list[Any]]
    left_out: list[list[Any]]
    created: str


class AttemptDocument(Document):
    """``attempt-<n>.json``."""

    kind: Literal["attempt"]
    run: str
    project: str
    attempt: int
    main: str
    host: str | None
    argv: list[str]
    reason: str | None
    at_step: int | None
    replaced: list[str]
    metrics: dict[str, Any]
    packages: NotRequired[dict[str, str]]
    created: str


class EndDocument(Document):
    """``end-<w>.json``."""

    kind: Literal["end"]
    run: str
    project: str
    writer: str
    main: bool
    attempt: int
    status: str
    reason: str | None
    traceback: str | None
    exit_code: int | None
    ended: str | None
    rows: int
    metrics: dict[str, Any]
    params: dict[str, Any]
    summary: dict[str, Any]
    definitions: dict[str, Any]
    properties: dict[str, Any]
    files: int
    bytes: int
    attachments: list[str]
    failed_uploads: list[dict[str, str]]
    left_behind: list[str]
    snapshot: NotRequired[dict[str, Any]]


class EditDocument(Document):
    """``edits/<stamp>-<token>.json``."""

    kind: Literal["edit", "delete"]
    run: str
    project: str
    field: str | None
    value: Any
    who: str | None
    stamp: int
    token: str
    created: str


class AssetFile(TypedDict):
    """One file of an asset version: where it lay in the run, and its object there, relative to the run's folder."""

    path: str
    key: str
    size: int
    sha256: str


class AssetDocument(Document):
    """``assets/<name>/<rev version>.json`` of a promotion."""

    kind: Literal["promote"]
    asset: str
    version: int
    run: str
    path: str
    files: list[AssetFile]
    sha256: str
    evidence: dict[str, Any]
    who: str | None
    created: str


class RetractionDocument(Document):
    """``assets/<name>/<rev version>.json`` that takes an earlier version back. It names no file."""

    kind: Literal["retract"]
    asset: str
    version: int
    retracts: int
    reason: str | None
    who: str | None
    created: str


class AliasDocument(Document):
    """``assets/<name>/aliases/<alias>/<rev n>.json``. The highest n holds; null stands for nothing."""

    kind: Literal["alias"]
    asset: str
    alias: str
    version: int | None
    who: str | None
    created: str


class BeatDocument(Document):
    """``beats/<id>.<w>.json``."""

    run: str
    project: str
    writer: str
    main: bool
    attempt: int
    counter: int
    rows: int
    metrics: dict[str, Any]
    params: dict[str, Any]
    summary: dict[str, Any]
    definitions: dict[str, Any]
    created: str
    others: NotRequired[dict[str, Any]]


class EntryDocument(Document):
    """``log/….json``: the announcement of another document."""

    kind: str
    body: dict[str, Any]


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a document. The same document gives the same bytes."""
    return dump_json(document)


def decode(data: bytes, key: str) -> dict[str, Any]:
    """Return the document of these bytes, with the fields this version does not know carried along.

    Raises:
        FormatError: they are no document, or one of a newer format. The message names the object and the version.
    """
    try:
        document = load_json(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{key} is damaged: it is not JSON", key=key) from error
    if not isinstance(document, dict):
        raise FormatError(f"{key} is damaged: it is not a JSON object", key=key)
    version = document.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"{key} is damaged: it has no format version", key=key)
    if version > FORMAT:
        raise FormatError(
            f"{key} has format {version}, and this Runfolio reads up to {FORMAT}: "
            "upgrade it with `pip install -U runfolio`",
            key=key,
        )
    if not isinstance(document.get("wid"), str):
        raise FormatError(f"{key} is damaged: it has no write id", key=key)
    return document


def require(document: Mapping[str, Any], key: str, **kinds: type | tuple[type, ...]) -> None:
    """Check that a document read from a store has the fields that the caller is going to use.

    Raises:
        FormatError: one is absent or of another type.
    """
    for name, kind in kinds.items():
        if not isinstance(document.get(name), kind):
            raise FormatError(f"{key} is damaged: its field {name!r} is missing or of the wrong type", key=key)


def load_source(data: bytes, key: str) -> dict[str, Any]:
    """Return the source record of these bytes.

    Raises:
        FormatError: they are none, or unreasonably many.
    """
    if len(data) > LARGEST_SOURCE:
        raise FormatError(f"{key} has more than {LARGEST_SOURCE:,} bytes", key=key)
    document = decode(data, key)
    require(document, key, commit=str, packs=list, files=list)
    return document


FOLDER_ONLY: Final = frozenset({"packages", "packs", "listed_by", "replaced"})
"""Fields of a start or an attempt that stay in its folder: neither log entries nor the index have them."""


def entry_document(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the log entry that announces a document: the whole of it, except `FOLDER_ONLY`."""
    announced = {name: value for name, value in body.items() if name not in FOLDER_ONLY}
    return {"format": FORMAT, "wid": body["wid"], "kind": body["kind"], "body": announced}


def segment_wid(uid: str, writer: str, first: int, after: int) -> str:
    """Return the write id of the rows ``[first, after)`` of a writer; with all of its rows also that of its end."""
    return f"{uid}:{writer}:{first}-{after}"
