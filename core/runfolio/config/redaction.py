"""The one place that hides secrets, before anything is stored or shown.

Known names (``--api-key``, ``DB_PASSWORD``) hide their value whatever it is; known forms (a GitHub token, a signed URL)
are hidden wherever they stand. Hiding too much costs a look at the script; hiding too little costs a key: in doubt it
is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

HIDDEN: Final = "[redacted]"
"""What stands in the place of a secret."""

Hook: TypeAlias = Callable[[str, str], str | None]
"""Called with the field (``argv``, ``environment.NAME``…) and the text; returns another text, or None to leave it."""

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS: Final = re.compile(r"[^a-z0-9]+")
_SECRET_END: Final = re.compile(
    r"(?:^|_)(?:pwd|token|api_?key|access_?key(?:_id)?|account_?key|storage_?key|shared_?key|private_?key|signing_?key"
    r"|encryption_?key|auth_?key|license_?key|sas|signature|bearer|cookie|auth|authorization|connection_?string|conn_?str|dsn"
    r"|webhook(?:_url)?|(?<=_)pass)(?:_\d+)?$"
)
_SECRET_ANYWHERE: Final = re.compile(r"secret|passw(?:or)?d|passphrase|credential|apikey")
_MODEL_TOKENS: Final = re.compile(
    r"(?:^|_)(?:pad|eos|bos|unk|mask|sep|cls|sot|eot|image|audio|video|special|stop|start|end|begin|first|last|next|new|max|min|num"
    r"|per|each|prompt|separator|placeholder|oov|blank|filler|trigger|suffix|prefix)_token$"
)
_HARMLESS_VALUE: Final = re.compile(r"|true|false|none|null|yes|no|on|off|[01]", re.IGNORECASE)

_OPTION: Final = re.compile(
    r"(?P<dashes>-{1,2}|/|\+{0,2})(?P<name>[A-Za-z][\w.-]*)(?P<sign>[=:])(?P<value>.*)", re.DOTALL
)
_FLAG: Final = re.compile(r"--?(?P<name>[A-Za-z][\w.-]*)")

_QUERY_NAMES: Final = (
    r"sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential|awsaccesskeyid"
    r"|googleaccessid|x-oss-signature|ossaccesskeyid|key-pair-id|policy|token|access_token|refresh_token|id_token|auth|auth_token"
    r"|api_?key|apikey|subscription-key|password|passwd|pwd|secret|client_secret|code"
)
_USERINFO: Final = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,30}://)(?P<user>[^\s/?#'\"<>]{1,4096})@")
_SIGNED: Final = re.compile(rf"(?P<name>[?&;](?:{_QUERY_NAMES})=)(?P<value>[^&;#\s'\"<>]+)", re.IGNORECASE)
_BARE_USER_SCHEMES: Final = frozenset(["http://", "https://", "ftp://", "ftps://"])

_PATTERNS: Final = (
    # Forms of keys, each with what makes it recognisable.
    re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
        re.DOTALL,
    ),
    re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,255}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{20,255}"),
    re.compile(r"\bgl(?:pat|dt|rt|cbt|ptt|soat)-[A-Za-z0-9_.-]{16,255}"),
    re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{8,255}"),
    re.compile(r"\bxapp-[A-Za-z0-9-]{8,255}"),
    re.compile(r"(?<=hooks\.slack\.com/)(?:services|workflows)/[A-Za-z0-9/_-]+"),
    re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{20,255}"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,255}"),
    re.compile(r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,255}"),
    re.compile(r"\bAIza[A-Za-z0-9_-]{30,60}"),
    re.compile(r"\bya29\.[A-Za-z0-9_-]{20,2048}"),
    re.compile(r"\bpypi-[A-Za-z0-9_-]{30,512}"),
    re.compile(r"\bnpm_[A-Za-z0-9]{30,60}"),
    re.compile(r"\bdapi[0-9a-f]{32}\b"),
    re.compile(r"\bdckr_pat_[A-Za-z0-9_-]{16,64}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}(?:\.[A-Za-z0-9_-]{0,4096})?"),
)
_HEADER: Final = re.compile(
    r"(?P<name>\b(?:authorization|proxy-authorization|x-api-key|cookie)[\"']?\s{0,4}[:=]\s{0,4}[\"']?)(?P<value>[^\r\n\"']+)",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"(?P<name>\b(?:bearer|basic)\s{1,4})(?P<value>[A-Za-z0-9+/._~=-]{8,})", re.IGNORECASE)
_ASSIGNED: Final = re.compile(
    r"(?P<name>(?<![A-Za-z0-9_.-])[\"']?(?P<key>[A-Za-z][A-Za-z0-9_.-]{0,100})[\"']?\s{0,4}[=:]\s{0,4})"
    r"(?P<value>\"[^\"]*\"|'[^']*'|(?!//)[^\s,;&\"'{}\[\]()<>]+)"
)
_LITERAL: Final = re.compile(
    # In the JSON of a notebook, the quotes of a text in a cell have a backslash before them.
    r"(?<![A-Za-z0-9_])(?P<key>[A-Za-z][A-Za-z0-9_-]{0,100})(?:\\?[\"'])?\]?\s{0,4}[=:]\s{0,4}"
    r"\\?[\"'](?P<value>[^\"'\\\s<{$][^\"'\\\s]{3,})\\?[\"']"
)
_FOLLOWED: Final = re.compile(
    r"(?P<name>(?<!\S)--?(?P<key>[A-Za-z][\w.-]{0,100})\s{1,4})(?P<value>\"[^\"]*\"|'[^']*'|(?!--)\S+)"
)


def is_secret_name(name: str) -> bool:
    """Whether what stands under this name is a secret: ``--api-key``, ``DB_PASSWORD``, ``auth.token``, ``accessKey``.

    Names of tokens in the sense of language models (``max_tokens``, ``pad_token``, ``tokenizer``) are not.
    """
    plain = _SEPARATORS.sub("_", _CAMEL.sub("_", name).lower()).strip("_")
    if _MODEL_TOKENS.search(plain):
        return False
    return bool(_SECRET_END.search(plain) or _SECRET_ANYWHERE.search(plain))


def redact_url(text: str) -> str:
    """Return a text with the secrets of the URLs in it hidden: user and password, signatures, tokens in the query.

    >>> redact_url("https://ann:s3cret@host/repo.git")
    'https://[redacted]@host/repo.git'
    >>> redact_url("https://acc.blob.core.windows.net/c/f?sv=2024-11-04&sig=abc%3D")
    'https://acc.blob.core.windows.net/c/f?sv=2024-11-04&sig=[redacted]'
    >>> redact_url("git@github.com:org/repo.git")
    'git@github.com:org/repo.git'
    """
    return _SIGNED.sub(rf"\g<name>{HIDDEN}", _USERINFO.sub(_userinfo, text))


def _userinfo(found: re.Match[str]) -> str:
    # `ssh://git@host` and `abfss://container@account` name no secret; a token alone does stand before an https host.
    secret = ":" in found["user"] or found["scheme"].lower() in _BARE_USER_SCHEMES
    return f"{found['scheme']}{HIDDEN}@" if secret else found[0]


def redact_text(text: str) -> str:
    """Return any text with the secrets hidden that are recognised by their form, or by the name before them."""
    if len(text) < _SHORTEST:
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    text = redact_url(text)
    text = _HEADER.sub(_hide_value, text)
    text = _BEARER.sub(_hide_value, text)
    text = _ASSIGNED.sub(_hide_named, text)
    return _FOLLOWED.sub(_hide_named, text)


def holds_secret(text: str) -> bool:
    """Whether there is a secret in a text of code: a private key, a token, a signed URL, a text under a telling name.

    >>> holds_secret("api_key = 'hunter2'"), holds_secret("api_key = load_key()")
    (True, False)
    """
    return (
        any(pattern.search(text) for pattern in _PATTERNS)
        or redact_url(text) != text
        or any(
            is_secret_name(found["key"]) and not _HARMLESS_VALUE.fullmatch(found["value"])
            for found in _LITERAL.finditer(text)
        )
    )


_SHORTEST: Final = 5
"""Shorter texts hold no secret with its name."""


def _hide_value(found: re.Match[str]) -> str:
    return f"{found['name']}{HIDDEN}"


def _hide_named(found: re.Match[str]) -> str:
    value = found["value"]
    bare = value.strip("\"'")
    if not is_secret_name(found["key"]) or _HARMLESS_VALUE.fullmatch(bare) or bare.startswith(HIDDEN):
        return found[0]
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
    return f"{found['name']}{quote}{HIDDEN}{quote}"


class Redactor:
    """The rules of this module, with those of plugins after them.

    Args:
        hooks: asked one after the other, each with what the one before it returned. One that raises hides the whole
            text.
    """

    def __init__(self, hooks: Sequence[Hook] = ()) -> None:
        self._hooks = tuple(hooks)

    def argv(self, arguments: Sequence[str], field: str = "argv") -> list[str]:
        """Return arguments with their secrets hidden: ``--token VALUE``, ``--api-key=VALUE``, ``db.password=VALUE``.

        An option whose value is another option is taken for a flag.
        """
        shown: list[str] = []
        hide_next = False
        for argument in arguments:
            if hide_next and not argument.startswith("--"):
                shown.append(argument if _HARMLESS_VALUE.fullmatch(argument) else HIDDEN)
                hide_next = False
                continue
            option = _OPTION.fullmatch(argument)
            flag = _FLAG.fullmatch(argument)
            hide_next = flag is not None and is_secret_name(flag["name"])
            if option and is_secret_name(option["name"]) and not _HARMLESS_VALUE.fullmatch(option["value"]):
                shown.append(f"{argument[: option.start('value')]}{HIDDEN}")
            else:
                shown.append(self.text(field, argument))
        return shown

    def environment(self, variables: Mapping[str, str], field: str = "environment") -> dict[str, str]:
        """Return environment variables with their secrets hidden."""
        return {
            # Of options, `--sort-key` is no secret; of variables, whatever ends in KEY most likely is.
            name: self.value(f"{field}.{name}", f"{name}_secret" if name.upper().endswith("_KEY") else name, text)
            for name, text in variables.items()
        }

    def value(self, field: str, name: str, text: str) -> str:
        """Return a text that stands under a name, with its secrets hidden; all of it when the name is that of a secret.

        Args:
            field: what plugins are told about it.
            name: the name.
            text: the text.
        """
        if is_secret_name(name) and not _HARMLESS_VALUE.fullmatch(text):
            return HIDDEN
        return self.text(field, text)

    def text(self, field: str, text: str) -> str:
        """Return any text with its secrets hidden.

        Args:
            field: what plugins are told about it.
            text: the text.
        """
        shown = redact_text(text)
        for hook in self._hooks:
            try:
                changed = hook(field, shown)
            except Exception:  # noqa: BLE001  # a plugin's fault must not let the text through, nor break the run
                return HIDDEN
            shown = shown if changed is None else changed
        return shown


def redact_argv(arguments: Sequence[str], hooks: Sequence[Hook] = ()) -> list[str]:
    """Return arguments with their secrets hidden.

    >>> redact_argv(["train.py", "--lr", "0.1", "--api-key", "abc", "--db-password=xyz", "--max_tokens=5"])
    ['train.py', '--lr', '0.1', '--api-key', '[redacted]', '--db-password=[redacted]', '--max_tokens=5']
    """
    return Redactor(hooks).argv(arguments)


def redact_environment(variables: Mapping[str, str], hooks: Sequence[Hook] = ()) -> dict[str, str]:
    """Return environment variables with their secrets hidden.

    >>> redact_environment({"HOME": "/home/ann", "WANDB_API_KEY": "abc"})
    {'HOME': '/home/ann', 'WANDB_API_KEY': '[redacted]'}
    """
    return Redactor(hooks).environment(variables)
