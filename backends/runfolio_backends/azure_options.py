"""The options of an Azure Blob store, and which credentials the environment holds for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypedDict
from urllib.parse import urlsplit

from runfolio.errors import ConfigurationError
from runfolio_backends.cloud_options import checked_options

NAME: Final = "azure"


class AzureOptions(TypedDict, total=False):
    """Every option of an Azure store. All can be left out."""

    account: str
    """Name of the storage account. By default the one in the URL, else that of ``AZURE_STORAGE_CONNECTION_STRING``,
    else ``AZURE_STORAGE_ACCOUNT_NAME`` or ``AZURE_STORAGE_ACCOUNT``."""
    endpoint: str
    """URL of the account, for anything but the public cloud: ``https://name.blob.core.chinacloudapi.cn``, or
    ``http://127.0.0.1:10000/devstoreaccount1`` for Azurite."""
    credential: Literal["auto", "default", "key", "sas", "connection_string", "anonymous"]
    """Where the credential comes from. ``auto`` takes the first there is of a connection string, an account key and
    a SAS, each by code or the environment, and else ``default``: `azure.identity.DefaultAzureCredential` (managed
    identity, workload identity, ``az login``, ...). By default ``auto``."""
    encryption_scope: str
    """Encryption scope for new blobs. By default that of the container."""
    tier: Literal["Hot", "Cool", "Cold"]
    """Access tier of new blobs. By default that of the account."""
    proxy: str
    """URL of an HTTP proxy. By default ``HTTPS_PROXY`` and ``HTTP_PROXY``."""
    ca_bundle: str
    """File with the certificates of the authorities to trust. By default those of the system."""
    connect_timeout: float
    """Seconds to wait for a connection. By default 5."""
    read_timeout: float
    """Seconds to wait for the next bytes of a response. By default 30."""
    concurrency: int
    """Blocks of one file that are on the way at the same time. By default 4."""
    part_size: int
    """Bytes in a block of a large file. By default 6 MiB. Memory: about `concurrency` times this."""
    single_writer: bool
    """Accept a service without create-if-absent: `create` looks first, then puts. The setting of this name sets it."""
    account_key: str
    """Key of the account. From code only: in a file it is refused."""
    sas_token: str
    """Shared access signature. From code only."""
    connection_string: str
    """Connection string. From code only."""
    storage_options: Mapping[str, Any]
    """Handed to `adlfs.AzureBlobFileSystem` as it is, over what the options above say."""


_SPELLINGS: Final = {
    "account_name": "account",
    "account_host": "endpoint",
    "account_key": "account_key",
    "sas_token": "sas_token",
    "connection_string": "connection_string",
    "credential": "credential",
    "anon": "credential",
    "max_concurrency": "concurrency",
    "blocksize": "part_size",
    "connection_timeout": "connect_timeout",
    "read_timeout": "read_timeout",
}
_CONNECTION: Final = ("AZURE_STORAGE_CONNECTION_STRING",)
_ACCOUNT: Final = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
_KEY: Final = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY")
_SAS: Final = ("AZURE_STORAGE_SAS_TOKEN",)


class Account(NamedTuple):
    """Where requests go, and with which credential.

    Attributes:
        name: of the account.
        url: of its blob service.
        kind: ``key``, ``sas``, ``default`` or ``anonymous``.
        secret: the key or the signature.
    """

    name: str
    url: str
    kind: str
    secret: str | None = None

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.url!r}, {self.kind!r})"


def azure_options(given: Mapping[str, Any]) -> AzureOptions:
    """Return the options of an Azure store after looking at each of them.

    Raises:
        ConfigurationError: an option is unknown, wrong or given twice.
    """
    options: AzureOptions = checked_options(given, AzureOptions, NAME, _SPELLINGS)  # type: ignore[assignment]  # checked
    secrets = [name for name in ("account_key", "sas_token", "connection_string") if name in options]
    if len(secrets) > 1:
        raise ConfigurationError(f"Give one of {' and '.join(secrets)}, not several", backend=NAME, key=secrets[0])
    return options


def account_of(options: AzureOptions, host: str, environment: Mapping[str, str]) -> Account:
    """Return the account that the options and the URL name, with the credential there is for it.

    A key, a signature or a connection string of the environment is used for its own account only: what the environment
    says of one account is not sent to another that a URL names.

    Args:
        options: those of the store.
        host: what stands after ``@`` in its URL, or nothing.
        environment: variables.

    Raises:
        ConfigurationError: no account is named, or its credential is missing.
    """
    named = options.get("account") or host.split(".", 1)[0]
    wanted = options.get("credential", "auto")
    parts = _connection_parts(options, named, wanted, environment)
    name = named or parts.get("accountname", "") or _first(environment, _ACCOUNT)
    endpoint = options.get("endpoint") or parts.get("blobendpoint")
    if not name and endpoint:
        name = _name_in(endpoint)
    if not name:
        raise ConfigurationError(
            "No storage account is named: write az://container@account/prefix, set the option account, or set "
            "AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT_NAME",
            backend=NAME,
        )
    suffix = parts.get("endpointsuffix", "core.windows.net")
    url = endpoint or (
        f"https://{host.replace('.dfs.', '.blob.', 1)}" if "." in host else f"https://{name}.blob.{suffix}"
    )
    theirs = _first(environment, _ACCOUNT) in ("", name)
    found = {
        "key": options.get("account_key") or parts.get("accountkey") or (_first(environment, _KEY) if theirs else ""),
        "sas": options.get("sas_token")
        or parts.get("sharedaccesssignature")
        or (_first(environment, _SAS) if theirs else ""),
    }
    kind = wanted
    if wanted == "connection_string":
        kind = "key" if parts.get("accountkey") else "sas"
        found = {"key": parts.get("accountkey", ""), "sas": parts.get("sharedaccesssignature", "")}
    elif wanted == "auto":
        kind = next((one for one in ("key", "sas") if found[one]), "default")
        if options.get("sas_token"):
            kind = "sas"
    if kind in found and not found[kind]:
        raise ConfigurationError(
            f"The store asks for the credential {wanted!r}, but there is none for the account {name}: set "
            f"{' or '.join({'key': _KEY, 'sas': _SAS}[kind] if wanted != 'connection_string' else _CONNECTION)}",
            backend=NAME,
        )
    return Account(name, url.rstrip("/"), kind, found.get(kind))


def _connection_parts(options: AzureOptions, named: str, wanted: str, environment: Mapping[str, str]) -> dict[str, str]:
    own = options.get("connection_string")
    text = own or (_first(environment, _CONNECTION) if wanted in ("auto", "connection_string") else "")
    parts = dict[str, str]()
    for part in filter(None, text.split(";")):
        name, sign, value = part.partition("=")
        if not sign:
            raise ConfigurationError("The connection string is malformed: expected NAME=VALUE;NAME=VALUE", backend=NAME)
        parts[name.strip().lower()] = value.strip()
    if text.strip().lower() == "usedevelopmentstorage=true":
        raise ConfigurationError(
            "UseDevelopmentStorage=true is not supported: write the connection string of Azurite in full", backend=NAME
        )
    if "accountname" not in parts and "blobendpoint" in parts:
        parts["accountname"] = _name_in(parts["blobendpoint"])
    if named and not own and parts.get("accountname") != named:
        return {}
    return parts


def _name_in(endpoint: str) -> str:
    """The account in the URL of its blob service: the first part of the host, or for an address the path."""
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    below = parts.path.strip("/")
    return below.split("/")[0] if below else host.split(".", 1)[0]


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")
