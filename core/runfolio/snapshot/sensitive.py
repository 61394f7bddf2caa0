"""Files that are left out of a snapshot because they hold secrets by their nature: keys, ``.env`` and the like.

In doubt a file is left out: it is named in the report, and a line in the documentation says how to rename it.
"""

from __future__ import annotations

import re
from typing import Final

KEY: Final = "it holds a private key"
SECRET_FILE: Final = "files of this name hold secrets"  # noqa: S105 (a reason, no password)
SECRET_TEXT: Final = "it holds what has the form of a secret"  # noqa: S105
HEAD: Final = 4096
"""Bytes at the beginning of a file that tell whether it is a key."""
LARGEST_NOTEBOOK: Final = 64 * 1024**2
"""Bytes of a notebook that is looked through for secrets in its outputs."""

_ENV: Final = re.compile(r"\.env(?:\..+)?|.+\.env|\.envrc")
_HARMLESS_ENV: Final = re.compile(r".*\.(?:example|sample|template|dist|schema)|(?:example|sample|template)\.env")
_SUFFIXES: Final = (".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk", ".pem")
_NAMES: Final = frozenset(
    {
        ".netrc",
        "_netrc",
        ".pgpass",
        ".pypirc",
        ".npmrc",
        ".git-credentials",
        ".htpasswd",
        ".dockercfg",
        ".boto",
        ".s3cfg",
        "credentials",
        "credentials.json",
        "client_secret.json",
        "secrets.toml",
        "secrets.yaml",
        "secrets.yml",
        "secrets.json",
        "kubeconfig",
    }
)
_SSH: Final = re.compile(r"id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?")
_SERVICE_ACCOUNT: Final = re.compile(r"service[-_]?account.*\.json")
_KEY_BLOCK: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")


def secret_by_name(path: str) -> str | None:
    """Return why a file of this path is left out, whatever is in it; None when its name says nothing."""
    name = path.rsplit("/", 1)[-1].lower()
    if _ENV.fullmatch(name) and not _HARMLESS_ENV.fullmatch(name):
        return SECRET_FILE
    if name.endswith(_SUFFIXES) or name in _NAMES or _SSH.fullmatch(name) or _SERVICE_ACCOUNT.fullmatch(name):
        return SECRET_FILE
    return None


def secret_by_contents(head: bytes) -> str | None:
    """Return why a file that begins like this is left out; None when it is not."""
    return KEY if _KEY_BLOCK.match(head) else None
