"""What is hidden before it is stored, and what is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runfolio.config import Redactor, redact_argv, redact_environment, redact_text, redact_url
from runfolio.config.redaction import HIDDEN, is_secret_name

# Put together at run time, so that no scanner takes this file for a leak.
_AWS = "AKIA" + "ABCDEFGHIJKLMNOP"
_GITHUB = "ghp_" + "a1B2" * 9
_JWT = ".".join(["eyJ" + "hbGciOiJI", "eyJ" + "zdWIiOiIx", "c2ln" * 5])
_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----"

SECRETS = [
    _AWS,
    "ASIA" + "ABCDEFGHIJKLMNOP",
    _GITHUB,
    "github_pat_" + "11ABCDEFG0" * 4,
    "glpat-" + "abcdefghij0123456789",
    "xoxb-" + "1234567890-abcdefghij",
    "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "sk-" + "proj-abcdefghijklmnop0123456789",
    "sk-" + "ant-api03-abcdefghijklmnop",
    "sk_" + "live_abcdefghijklmnop",
    "AIza" + "a" * 35,
    "pypi-" + "AgEIcHlwaS5vcmc" * 3,
    "dapi" + "0123456789abcdef" * 2,
    _JWT,
    _KEY,
    "-----BEGIN PRIVATE KEY-----\ncut off here",
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:12])
def test_known_forms_are_hidden_wherever_they_stand(secret: str) -> None:
    assert redact_text(secret) == HIDDEN
    assert redact_text(f"before {secret}") == f"before {HIDDEN}"
    assert redact_argv(["train.py", secret, f"--x={secret}"]) == ["train.py", HIDDEN, f"--x={HIDDEN}"]
    assert redact_environment({"X": secret}) == {"X": HIDDEN}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://ann:hush@host/x.git", "https://[redacted]@host/x.git"),
        ("https://hush@github.com/o/r", "https://[redacted]@github.com/o/r"),
        ("https://ann:hu@sh@host/x", "https://[redacted]@host/x"),
        ("postgresql+psycopg://u:hush@db:5432/x", "postgresql+psycopg://[redacted]@db:5432/x"),
        ("redis://:hush@cache", "redis://[redacted]@cache"),
        ("from https://u:hush@a/x to https://u:hush@b/y", "from https://[redacted]@a/x to https://[redacted]@b/y"),
        (
            "https://a.blob.core.windows.net/c?sv=1&sig=hush%3D&se=2",
            "https://a.blob.core.windows.net/c?sv=1&sig=[redacted]&se=2",
        ),
        (
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=hush&X-Amz-Date=1&X-Amz-Signature=hush",
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=[redacted]&X-Amz-Date=1&X-Amz-Signature=[redacted]",
        ),
        ("https://h/x?a=1;token=hush#frag", "https://h/x?a=1;token=[redacted]#frag"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("https://host/?mail=a@b.c", "https://host/?mail=a@b.c"),
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
        ("ssh://git@github.com/o/r", "ssh://git@github.com/o/r"),
        ("abfss://container@account.dfs.core.windows.net/p", "abfss://container@account.dfs.core.windows.net/p"),
        ("s3://bucket/sig=1/x", "s3://bucket/sig=1/x"),
    ],
)
def test_urls(text: str, expected: str) -> None:
    assert redact_url(text) == expected
    assert redact_text(text) == expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--token", "hush"], ["--token", HIDDEN]),
        (["--token", "-hush"], ["--token", HIDDEN]),
        (["--token", "--lr", "1"], ["--token", "--lr", "1"]),
        (["--token"], ["--token"]),
        (["-password", "hush"], ["-password", HIDDEN]),
        (["--api-key=hush"], [f"--api-key={HIDDEN}"]),
        (["--apiKey=hush"], [f"--apiKey={HIDDEN}"]),
        (["--wandb_api_key=hush=="], [f"--wandb_api_key={HIDDEN}"]),
        (["db.password=hush x"], [f"db.password={HIDDEN}"]),
        (["+auth.token=hush"], [f"+auth.token={HIDDEN}"]),
        (["++auth.client_secret=hush"], [f"++auth.client_secret={HIDDEN}"]),
        (["--password="], ["--password="]),
        (["--use-auth-token", "true"], ["--use-auth-token", "true"]),
        (["-H", "Authorization: Bearer hush"], ["-H", f"Authorization:{HIDDEN}"]),
        (["--header", "x: Bearer hushhush"], ["--header", f"x: Bearer {HIDDEN}"]),
        (['{"password": "hush", "lr": 1}'], [f'{{"password": "{HIDDEN}", "lr": 1}}']),
        (["bash", "-c", "x --token hush --lr 1"], ["bash", "-c", f"x --token {HIDDEN} --lr 1"]),
        (["AccountName=a;AccountKey=hush==;X=y"], [f"AccountName=a;AccountKey={HIDDEN};X=y"]),
    ],
    ids=str,
)
def test_arguments(argv: list[str], expected: list[str]) -> None:
    assert redact_argv(argv) == expected
    assert redact_argv(expected) == expected


@pytest.mark.parametrize(
    "argument",
    [
        "train.py",
        "--lr=0.1",
        "--max-tokens=512",
        "--max_token=512",
        "--num-tokens",
        "--tokenizer=bert-base",
        "--pad-token=<pad>",
        "--eos_token=</s>",
        "--key-dim=64",
        "--sort-key=loss",
        "--passes=3",
        "--author=ann",
        "--signal=7",
        "--n_keys",
        "secretary.csvdata/tokens.bin",
        "--token-dim=8",
        "--keyboard=us",
        "C:\\data\\x.csv",
        "s3://bucket/key",
        "--hash=" + "0123456789abcdef" * 4,
        "--sig=0.5",
        "key=value",
        "monkey=1",
    ],
)
def test_what_is_no_secret_is_left_alone(argument: str) -> None:
    assert redact_argv([argument, "value"]) == [argument, "value"]


def test_environment() -> None:
    hidden = [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "OPENAI_API_KEY",
        "STRIPE_KEY",
        "PGPASSWORD",
        "DB_PASS",
        "HF_TOKEN",
        "AZURE_STORAGE_CONNECTION_STRING",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "SLACK_WEBHOOK_URL",
    ]
    shown = {
        "HOME": "/home/ann",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "2",
        "GIT_AUTHOR": "a",
        "EMPTY_TOKEN": "",
        "SSH_AUTH_SOCK": "/tmp/x",
    }
    given = {**shown, **dict.fromkeys(hidden, "hush"), "DATABASE_URL": "mysql://u:hush@h/d"}
    expected = {**shown, **dict.fromkeys(hidden, HIDDEN), "DATABASE_URL": f"mysql://{HIDDEN}@h/d"}
    assert redact_environment(given) == expected


def test_hooks_add_to_the_rules_one_after_the_other() -> None:
    seen: list[tuple[str, str]] = []

    def first(field: str, value: str) -> str | None:
        seen.append((field, value))
        return value.replace("patient", "***") if field.startswith("argv") else None

    def second(field: str, value: str) -> str | None:
        return value.replace("*** 7", "nobody")

    redactor = Redactor([first, second])
    assert redactor.argv(["patient 7", "--token", "hush"]) == ["nobody", "--token", HIDDEN]
    assert redactor.environment({"X": "patient 7"}) == {"X": "patient 7"}
    assert ("environment.X", "patient 7") in seen
    assert all("hush" not in value for _, value in seen)
    assert redactor.value("git.remote", "origin", "https://a:hush@h/x") == f"https://{HIDDEN}@h/x"
    assert redactor.value("params", "apiToken", "hush") == HIDDEN


def test_hook_that_fails_hides_the_whole_text() -> None:
    def broken(field: str, value: str) -> str | None:
        raise RuntimeError(field)

    assert Redactor([broken]).argv(["a", "b"]) == [HIDDEN, HIDDEN]


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "API-KEY", "auth.token", "x_token_2", "Password1", "db-pass", "dsn"]
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


_piece = st.sampled_from(
    [*SECRETS, "--token", "password", "=", ":", " ", "https://", "u:p@h", "?sig=", "&", "'", '"', "x", "1", "\n"]
)


@given(st.text(max_size=60) | st.lists(_piece, max_size=12).map("".join))
def test_hiding_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
    assert redact_argv(redact_argv([text, text])) == redact_argv([text, text])


@given(st.text(max_size=10), st.sampled_from(SECRETS), st.sampled_from([" ", "\n", "'", '"', "(", ",", "="]))
def test_secret_never_survives_what_stands_before_it(before: str, secret: str, between: str) -> None:
    assert secret not in redact_text(f"{before}{between}{secret}")
