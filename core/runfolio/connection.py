"""A store that has been chosen: its backend, its plugins, its index; opened when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runfolio.errors import ConfigurationError, ReadOnlyError
from runfolio.store.environment import Environment

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.index.view import Index
    from runfolio.plugins import Plugins
    from runfolio.store.counting import CountedBackend
    from runfolio.store.opening import StoreInfo


class Connection:
    """The way to one store.

    Args:
        url: the root of the store.
        plugins: where backends come from.
        options: handed to the backend.
        read_only: refuse every write before it is sent.
        single_writer: accept a store without create-if-absent. The backend is told as well.
        cache: folder for what may be kept between processes, or None.
    """

    def __init__(
        self,
        url: str,
        *,
        plugins: Plugins,
        options: Mapping[str, Any] | None = None,
        read_only: bool = False,
        single_writer: bool = False,
        cache: Path | None = None,
    ) -> None:
        self._address = url
        self.plugins = plugins
        self.read_only = read_only
        self.environment = Environment()
        self._options = dict(options or {})
        self._single_writer = single_writer
        self._cache = cache
        self._lock = threading.RLock()
        self._raw: CountedBackend | None = None
        self._index: Index | None = None
        self._info: StoreInfo | None = None

    @property
    def url(self) -> str:
        """The root of the store, without credentials."""
        return self._raw.url if self._raw is not None else self._address

    @property
    def raw(self) -> CountedBackend:
        """The backend itself, with its requests counted: each failure surfaces at once.

        Raises:
            ConfigurationError: no plugin knows the scheme, or an option is wrong.
        """
        with self._lock:
            if self._raw is None:
                self._raw = self._build()
            return self._raw

    @property
    def single_writer(self) -> bool:
        """Whether the user promised that one process at a time writes, so that create-if-absent is not needed."""
        return self._single_writer

    @property
    def backend(self) -> Backend:
        """The backend with bounded retries of passing trouble."""
        from runfolio.store.retrying import RetryingBackend  # noqa: PLC0415 (loaded on use)

        return RetryingBackend(self.raw, environment=self.environment)

    def _build(self) -> CountedBackend:
        from runfolio.store.counting import CountedBackend  # noqa: PLC0415 (loaded on use)

        scheme = urlsplit(self._address).scheme or "file"
        known = self.plugins.registry("runfolio_register_backends")
        family, plus, _ = scheme.partition("+")
        found = known.get(scheme) or known.get(f"{family}{plus}" if plus else scheme)
        if found is None:
            raise ConfigurationError(
                f"No backend knows the scheme {scheme!r} of {self._address!r}: known are {', '.join(sorted(known))}",
                key=self._address,
            )
        options = {**self._options, **({"single_writer": True} if self._single_writer else {})}
        backend: Backend = found.load()(self._address, **options)
        return CountedBackend(backend)

    def open(self, *, create: bool = False) -> StoreInfo:
        """Make sure that there is a store that this version understands. Asks the store once.

        Args:
            create: make one where there is none.

        Raises:
            StoreNotFoundError: there is none.
            FormatError: it is of a newer format.
            ReadOnlyError: it would have to be made, and the history is read-only.
        """
        from runfolio.store.opening import open_store  # noqa: PLC0415 (loaded on use)

        with self._lock:
            if self._info is None:
                self._info = open_store(
                    self.backend,
                    create=create and not self.read_only,
                    environment=self.environment,
                    single_writer=self._single_writer,
                )
            return self._info

    def writable(self) -> Backend:
        """Return the backend for writing, after making sure of the store.

        Raises:
            ReadOnlyError: the history was opened read-only.
            ConfigurationError: the store was made for one writer at a time, which was not accepted here.
        """
        if self.read_only:
            raise ReadOnlyError(f"The history of {self.url} was opened read-only", key=self.url)
        if self.open(create=True).single_writer and not self._single_writer:
            raise ConfigurationError(
                f"The store at {self.url} was made for one writer at a time, as its storage cannot create an object "
                "only if it is absent: another process may be writing there. Set single_writer = true in the profile "
                "of this store ([stores.NAME]) if none does; reading needs nothing",
                key=self.url,
            )
        return self.backend

    @property
    def index(self) -> Index:
        """The index of the store."""
        from runfolio.index.view import Index  # noqa: PLC0415 (loads pyarrow)

        with self._lock:
            if self._index is None:
                self._index = Index(self.backend, cache=self._cache, environment=self.environment, clock=self.raw.now)
            return self._index

    def after_fork(self) -> None:
        """Make this usable in a child process. Called in the child, before anything else."""
        self._lock = threading.RLock()
        self._index = None
        if self._raw is not None:
            self._raw.after_fork()

    def close(self) -> None:
        """Release what is open. It is opened again when needed."""
        with self._lock:
            if self._raw is not None:
                self._raw.close()
