"""A store in a container of Azure Blob Storage or of Data Lake Storage Gen2. Built on adlfs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, Unpack, final

from azure.identity.aio import DefaultAzureCredential

from runfolio.errors import ConfigurationError
from runfolio_backends.azure_errors import translate_errors
from runfolio_backends.azure_options import NAME, Account, AzureOptions, account_of, azure_options
from runfolio_backends.azure_requests import AzureRequests, FileSystem, client_arguments
from runfolio_backends.cloud import CloudBackend
from runfolio_backends.cloud_options import merged
from runfolio_backends.cloud_transfers import Sizes
from runfolio_backends.fsspec_adapter import FRESH, disown

if TYPE_CHECKING:
    from runfolio.backend import Backend

_URL: Final = re.compile(
    r"(?P<scheme>az|abfs|abfss)://(?P<container>[^/@:?#]+)(?:@(?P<host>[^/@:?#]+))?(?:/(?P<prefix>.*))?", re.DOTALL
)
_MOST_BLOCKS: Final = 50_000
_CREDENTIALS: Final = frozenset({"credential", "client_id", "client_secret", "tenant_id"})
"""What adlfs makes a credential of, when `storage_options` has it."""


@final
class AzureBackend(CloudBackend):
    """Blobs in a container, below a prefix. Any number of processes on any number of machines may use it at once.

    Args:
        url: ``az://container/prefix``, ``az://container@account/prefix``, or with the scheme ``abfs`` or ``abfss`` as
            other tools write it: ``abfss://container@account.dfs.core.windows.net/prefix``.
        options: see `runfolio_backends.azure_options.AzureOptions`.

    Raises:
        ConfigurationError: the URL names no container, no account is named, or an option is unknown or wrong.
    """

    name = NAME
    _translate = staticmethod(translate_errors)

    def __init__(self, url: str, **options: Unpack[AzureOptions]) -> None:
        found = _URL.fullmatch(url)
        if found is None:
            raise ConfigurationError(
                f"{url!r} is not the URL of an Azure store: expected az://container/prefix or "
                "az://container@account/prefix",
                backend=NAME,
            )
        checked = azure_options(options)
        prefix = (found["prefix"] or "").strip("/")
        host = found["host"] or ""
        place = f"{found['container']}@{host}" if host else found["container"]
        super().__init__(
            f"{found['scheme']}://{place}/{prefix}",
            checked,
            root=f"{prefix}/" if prefix else "",
            sizes=Sizes(checked.get("part_size", 6 * 1024 * 1024), _MOST_BLOCKS, checked.get("concurrency", 4)),
        )
        self._checked = checked
        self.container = found["container"]
        self.account: Account = account_of(checked, host, os.environ)

    def _connect(self) -> AzureRequests:
        theirs = self._checked.get("storage_options", {})
        ours: dict[str, Any] = {"account_name": self.account.name, "anon": self.account.kind != "default"}
        with self._asking("connect", ""):
            if self.account.kind == "default" and not _CREDENTIALS & theirs.keys():
                ours["credential"] = DefaultAzureCredential()
            client = client_arguments(self.account, self._checked, self.observe_date)
            filesystem = FileSystem(client, **{**merged(ours, theirs), **FRESH})
        disown(filesystem)
        names = {"encryption_scope": "encryption_scope", "tier": "standard_blob_tier"}
        chosen: dict[str, Any] = {
            theirs: self._options[ours] for ours, theirs in names.items() if ours in self._options
        }
        return AzureRequests(filesystem, self.account, self.container, blob_arguments=chosen)

    def copy_from(self, source: Backend, source_key: str, key: str) -> bool:
        """Copy a blob of another store in the same account on the server, if the same credential reaches both.

        False for a blob above 256 MiB: the service would answer before it has copied it, and readers see a part.
        """
        if not isinstance(source, AzureBackend) or source.account != self.account:
            return False
        requests: AzureRequests = self._connected()
        with self._asking("copy", source_key):
            return self._run(requests.copy(source.container, source.root + source_key, self.root + key))
