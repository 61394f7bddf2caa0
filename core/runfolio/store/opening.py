"""``runfolio.json``: what makes a prefix a store, and who may work with it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runfolio import layout
from runfolio.errors import (
    AlreadyExistsError,
    ConfigurationError,
    FormatError,
    NotFoundError,
    StorageError,
    StoreNotFoundError,
)
from runfolio.ids import new_uid
from runfolio.store.created import create_document
from runfolio.store.documents import FORMAT, SINGLE_WRITER, SUPPORTED_FEATURES, StoreDocument, decode, require
from runfolio.store.environment import Environment
from runfolio.store.retrying import PATIENT, Attempts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from runfolio.backend import Backend

_REMEDY: Final = "upgrade Runfolio (`pip install -U runfolio`)"


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store says of itself.

    Attributes:
        store_id: identity of the store, the same after it was copied.
        format: version of its format.
        required_features: what a program must know to work with it.
        optional_features: what a program may know.
        created: it was made by this very call.
    """

    store_id: str
    format: int
    required_features: tuple[str, ...] = ()
    optional_features: tuple[str, ...] = ()
    created: bool = False

    @property
    def single_writer(self) -> bool:
        """Whether it was made for one writer at a time."""
        return SINGLE_WRITER in self.required_features


def open_store(
    backend: Backend,
    *,
    create: bool,
    environment: Environment | None = None,
    single_writer: bool = False,
    supported: Collection[str] = SUPPORTED_FEATURES,
) -> StoreInfo:
    """Read what the store says of itself (1 request), or make it a store (4 more).

    Args:
        backend: where it lies.
        create: make a store of a place that is none.
        environment: clocks and chance.
        single_writer: accept a place that cannot create exclusively; the caller promises that one process at a time
            writes. A store that is made says so to everybody who opens it.
        supported: the required features that the caller knows.

    Raises:
        StoreNotFoundError: there is no store, and `create` is False.
        ConfigurationError: the place cannot create exclusively, so it cannot be shared.
        FormatError: the store is of a newer format, or requires a feature that is not known here.
        StorageError: the storage failed.
    """
    try:
        document = decode(backend.get(layout.STORE), layout.STORE)
    except NotFoundError:
        if not create:
            raise StoreNotFoundError(
                f"There is no Runfolio store at {backend.url}: check the URL, or start a run there to make one",
                backend=backend.name,
                key=layout.STORE,
                operation="get",
            ) from None
        return _make(backend, environment or Environment(), single_writer=single_writer, supported=supported)
    return _checked(document, backend, supported, created=False)


def _make(backend: Backend, environment: Environment, *, single_writer: bool, supported: Collection[str]) -> StoreInfo:
    if not backend.capabilities.conditional_create and not single_writer:
        raise ConfigurationError(
            f"The storage at {backend.url} cannot create an object only if it is absent, so writers could overwrite "
            "one another. Set single_writer = true if only one process at a time will ever write there",
            backend=backend.name,
        )
    if not single_writer:
        _try_condition(backend, environment)
    fresh: StoreDocument = {
        "format": FORMAT,
        "wid": new_uid(),
        "store_id": new_uid(),
        "required_features": [SINGLE_WRITER] if single_writer else [],
        "optional_features": [],
    }
    # Somebody else's store, made at the same moment, is as good as ours: what is stored counts.
    creation = create_document(backend, layout.STORE, fresh, environment)
    return _checked(creation.document, backend, supported, created=creation.ours)


def _try_condition(backend: Backend, environment: Environment) -> None:
    """Before a place becomes a store: some servers accept a conditional write, and ignore the condition."""
    key = f"{layout.CHECK}{environment.token()}/create"
    _is_created(backend, key, b"first", environment)
    ignored = _is_created(backend, key, b"second", environment)
    with suppress(StorageError):  # without the right to delete, a few bytes stay
        backend.delete([key])
    if not ignored:
        return
    raise ConfigurationError(
        f"The storage at {backend.url} accepts the condition to create an object only if it is absent, and ignores "
        "it: writers would overwrite one another. `runfolio store check` shows what it guarantees. Use other storage, "
        "or set single_writer = true in the profile of this store if only one process at a time will ever write there",
        backend=backend.name,
        key=key,
        operation="create",
    )


def _is_created(backend: Backend, key: str, data: bytes, environment: Environment) -> bool:
    attempts = Attempts(PATIENT, environment)
    while True:
        try:
            backend.create(key, data)
        except AlreadyExistsError:
            return False
        except StorageError as error:
            attempts.wait(error)
        else:
            return True


def _checked(document: Mapping[str, Any], backend: Backend, supported: Collection[str], *, created: bool) -> StoreInfo:
    require(document, layout.STORE, store_id=str, required_features=list)
    unknown = sorted(str(one) for one in document["required_features"] if one not in supported)
    if unknown:
        raise FormatError(
            f"The store at {backend.url} requires {', '.join(unknown)}, which this version does not know: {_REMEDY}",
            backend=backend.name,
            key=layout.STORE,
        )
    return StoreInfo(
        document["store_id"],
        document["format"],
        tuple(document["required_features"]),
        tuple(document.get("optional_features") or ()),
        created,
    )
