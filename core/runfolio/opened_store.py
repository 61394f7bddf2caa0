"""One store, opened: where it lies, who works with it, and whether it may be written."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from runfolio.connection import Connection
from runfolio.errors import ReadOnlyError, RunfolioError
from runfolio.ids import parse_run_id
from runfolio.loading import load
from runfolio.plugins import Plugins
from runfolio.stored_run import Reader

if TYPE_CHECKING:
    from runfolio.backend import Backend
    from runfolio.config import Settings

_log: Final = logging.getLogger(__name__)


class OpenedStore:
    """The way to one store, and who goes it. What is done there is in `runfolio.history.History`.

    Args:
        settings: the configuration; it names the store.
        storage_options: handed to the backend.
        read_only: refuse every write.
        plugins: the plugins to use; by default all installed ones.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        storage_options: Mapping[str, Any] | None = None,
        read_only: bool = False,
        plugins: Plugins | None = None,
    ) -> None:
        from runfolio.config import require_trust, store_address  # noqa: PLC0415 (loaded on use)

        self.settings = settings
        self.plugins = plugins or Plugins(enabled=settings.plugins_enabled, disabled=settings.plugins_disabled)
        address = store_address(settings)
        require_trust(address)
        options = {**address.options, **(storage_options or {})}
        single_writer = bool(options.pop("single_writer", False)) or address.single_writer
        self._options = {**options, **({"single_writer": True} if single_writer else {})}
        self._word = address.word
        self._connection = Connection(
            address.url, plugins=self.plugins, options=options, read_only=read_only, single_writer=single_writer
        )
        self._reader = Reader(self._connection)
        self._leftovers_sent = False

    @property
    def url(self) -> str:
        """The root of the store, without credentials."""
        return self._connection.url

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._connection.read_only

    @property
    def project(self) -> str:
        """The current project: what is meant when no project is named."""
        return self.settings.project

    @property
    def user_id(self) -> str:
        """Who "I" am: configured, else the user of the operating system."""
        from runfolio.config import user_id  # noqa: PLC0415 (loaded on use)

        return user_id(self.settings)

    @property
    def _backend(self) -> Backend:
        return self._connection.backend

    def check_exists(self) -> None:
        """Make sure that there is a store that can be read.

        Raises:
            StoreNotFoundError: there is none; the message names the place.
            FormatError: it is of a newer format.
        """
        self._connection.open()

    def make_store(self) -> None:
        """Make sure that there is a store that can be written; make one where there is none.

        The first run does it as well.

        Raises:
            ConfigurationError: the place cannot create exclusively, so it cannot be shared.
            ReadOnlyError: it cannot be written.
            FormatError: it is of a newer format.
            StorageError: the storage failed.
        """
        self._connection.writable()

    def _refuse_read_only(self) -> None:
        if self.read_only:
            raise ReadOnlyError(
                f"The history of {self.url} was opened read-only: open it without read_only to write", key=self.url
            )

    def _edit(self, run_id: str, field: str | None, value: object, *, kind: Literal["edit", "delete"] = "edit") -> None:
        from runfolio.store.desk import Desk  # noqa: PLC0415 (loaded on use)
        from runfolio.store.editing import edit, intend_edit  # noqa: PLC0415
        from runfolio.store.ledger import Ledger  # noqa: PLC0415
        from runfolio.store.spooled import MemoryNotes  # noqa: PLC0415

        self._connection.writable()
        # Somebody waits for this edit, so its journal is memory: it is acknowledged, or they are told that it failed.
        desk = Desk(self._connection.raw, Ledger(MemoryNotes()), self._connection.environment)
        project = parse_run_id(run_id).project
        token = intend_edit(desk, run_id=run_id, project=project, field=field, value=value, who=self.user_id, kind=kind)
        edit(desk, token)

    def _delete(self, run_id: str) -> None:
        self._edit(run_id, None, None, kind="delete")

    def _fold(self, _: Backend) -> None:
        """Fold a long log, after an end. Never needed, so trouble is left to the next one."""
        load("runfolio.index.folding", "runfolio.index.view")
        from runfolio.index.folding import fold  # noqa: PLC0415 (loads pyarrow)

        try:
            fold(self._connection.index)
        except RunfolioError as error:
            _log.info("The log of %s was not folded: %s", self.url, error)

    def close(self) -> None:
        """Release connections. Runs that are still being written go on."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
