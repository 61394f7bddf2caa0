"""The options of the cloud backends are closed sets, and secrets among them are shown nowhere."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from runfolio.errors import ConfigurationError
from runfolio_backends.azure import AzureBackend
from runfolio_backends.azure_options import AzureOptions, account_of, azure_options
from runfolio_backends.fsspec_other import FsspecOtherBackend
from runfolio_backends.s3 import S3Backend
from runfolio_backends.s3_options import S3Options, filesystem_arguments, object_arguments, s3_options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"endpont": "http://x"}, "endpoint"),
        ({"endpoint_url": "http://x"}, "endpoint"),
        ({"anon": True}, "anonymous"),
        ({"region_name": "x"}, "region"),
        ({"zzz": 1}, "there are"),
        ({"anonymous": "yes"}, "true or false"),
        ({"concurrency": 0}, "whole number above 0"),
        ({"concurrency": True}, "whole number"),
        ({"part_size": 1024}, "5 MiB"),
        ({"addressing": "host"}, "'path'"),
        ({"kms_key": "x"}, "sse"),
        ({"key": "x"}, "secret"),
        ({"anonymous": True, "profile": "me"}, "anonymous"),
        ({"endpoint": "http://x", "storage_options": {"endpoint_url": "http://y"}}, "twice"),
        ({"anonymous": True, "storage_options": {"anon": False}}, "twice"),
        ({"storage_options": "text"}, "a table"),
    ],
)
def test_bad_options_of_s3(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        S3Backend("s3://b/p", **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"acount": "x"}, "account"),
        ({"account_name": "x"}, "account"),
        ({"credential": "password"}, "'default'"),
        ({"account_key": "x", "sas_token": "y"}, "one of"),
        ({"account": "x", "storage_options": {"account_name": "y"}}, "twice"),
        ({"connection_string": "nonsense"}, "malformed"),
        ({"connection_string": "UseDevelopmentStorage=true"}, "in full"),
        ({"account": "x", "credential": "key"}, "AZURE_STORAGE_ACCOUNT_KEY"),
        ({"account": "x", "credential": "connection_string"}, "AZURE_STORAGE_CONNECTION_STRING"),
        ({}, "No storage account"),
    ],
)
def test_bad_options_of_azure(options: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_cloud(monkeypatch)
    with pytest.raises(ConfigurationError, match=expected):
        AzureBackend("az://c/p", **options)


def without_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("url", ["s3://", "s3:///p", "s3://u:p@b/x", "az://b", "b/p", "s3://b?x=1"])
def test_bad_urls_of_s3(url: str) -> None:
    with pytest.raises(ConfigurationError):
        S3Backend(url)


@pytest.mark.parametrize("url", ["az://", "az://u:p@c/x", "s3://b", "az:///x"])
def test_bad_urls_of_azure(url: str) -> None:
    with pytest.raises(ConfigurationError):
        AzureBackend(url, account="a")


@pytest.mark.parametrize("url", ["fsspec+nothing://x/y", "memory://x", "fsspec://x"])
def test_bad_urls_of_other_file_systems(url: str) -> None:
    with pytest.raises(ConfigurationError):
        FsspecOtherBackend(url)
    with pytest.raises(ConfigurationError, match="storage_options"):
        FsspecOtherBackend("fsspec+memory://x", storage_option={})  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://b", "s3://b"),
        ("s3://b/", "s3://b"),
        ("s3://b/p/q/", "s3://b/p/q"),
    ],
)
def test_the_url_of_an_s3_store(url: str, shown: str) -> None:
    assert S3Backend(url).url == shown


def test_nothing_is_shown_of_secrets() -> None:
    s3 = S3Backend("s3://b/p", key="AKIAXXXXXXXXXXXXXXXX", secret="hush", storage_options={"x": "hush"})
    azure = AzureBackend("az://c/p", account="a", account_key="aHVzaA==")
    for backend in (s3, azure):
        for text in (repr(backend), str(backend), backend.url, repr(vars(backend).get("account"))):
            assert "hush" not in text
            assert "aHVzaA" not in text
            assert "AKIA" not in text


def test_what_becomes_of_the_options_of_s3() -> None:
    options = s3_options(
        {
            "endpoint": "https://r2.example",
            "region": "auto",
            "addressing": "path",
            "proxy": "http://proxy:3128",
            "ca_bundle": "/etc/ca.pem",
            "sse": "aws:kms",
            "kms_key": "alias/x",
            "storage_class": "INTELLIGENT_TIERING",
            "read_timeout": 7,
            "region_name": None,
            "storage_options": {"config_kwargs": {"user_agent_extra": "me"}, "use_ssl": False},
        }
    )
    made = filesystem_arguments(options, own_endpoint=True, known=["request_checksum_calculation"])
    assert made["endpoint_url"] == "https://r2.example"
    assert made["client_kwargs"] == {"region_name": "auto", "verify": "/etc/ca.pem"}
    config = made["config_kwargs"]
    assert (config["s3"], config["read_timeout"]) == ({"addressing_style": "path"}, 7)
    assert config["proxies"] == {"http": "http://proxy:3128", "https": "http://proxy:3128"}
    assert config["request_checksum_calculation"] == "when_required"
    assert "response_checksum_validation" not in config
    assert config["user_agent_extra"] == "me"
    assert config["retries"]["total_max_attempts"] == 1
    assert made["use_ssl"] is False
    assert object_arguments(options) == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "alias/x",
        "StorageClass": "INTELLIGENT_TIERING",
    }
    assert (
        "request_checksum_calculation"
        not in filesystem_arguments(s3_options({}), own_endpoint=False, known=["request_checksum_calculation"])[
            "config_kwargs"
        ]
    )


CONNECTION = "DefaultEndpointsProtocol=https;AccountName=one;AccountKey=k1==;EndpointSuffix=core.windows.net"
LOCAL = "AccountName=dev;SharedAccessSignature=sv=1&sig=x;BlobEndpoint=http://127.0.0.1:10000/dev"


@pytest.mark.parametrize(
    ("options", "host", "environment", "expected"),
    [
        ({"account": "a"}, "", {}, ("a", "https://a.blob.core.windows.net", "default", None)),
        ({}, "a", {}, ("a", "https://a.blob.core.windows.net", "default", None)),
        ({}, "a.dfs.core.windows.net", {}, ("a", "https://a.blob.core.windows.net", "default", None)),
        ({}, "", {"AZURE_STORAGE_ACCOUNT_NAME": "e"}, ("e", "https://e.blob.core.windows.net", "default", None)),
        (
            {},
            "",
            {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION},
            ("one", "https://one.blob.core.windows.net", "key", "k1=="),
        ),
        (
            {},
            "",
            {"AZURE_STORAGE_CONNECTION_STRING": LOCAL},
            ("dev", "http://127.0.0.1:10000/dev", "sas", "sv=1&sig=x"),
        ),
        (
            {},
            "one",
            {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION},
            ("one", "https://one.blob.core.windows.net", "key", "k1=="),
        ),
        # A connection string, a key or a signature of one account is not sent to another.
        (
            {},
            "two",
            {"AZURE_STORAGE_CONNECTION_STRING": CONNECTION},
            ("two", "https://two.blob.core.windows.net", "default", None),
        ),
        (
            {"account": "two"},
            "",
            {"AZURE_STORAGE_ACCOUNT_NAME": "one", "AZURE_STORAGE_ACCOUNT_KEY": "k1"},
            ("two", "https://two.blob.core.windows.net", "default", None),
        ),
        (
            {"account": "one"},
            "",
            {"AZURE_STORAGE_ACCOUNT_NAME": "one", "AZURE_STORAGE_ACCOUNT_KEY": "k1"},
            ("one", "https://one.blob.core.windows.net", "key", "k1"),
        ),
        (
            {"account": "one", "credential": "default"},
            "",
            {"AZURE_STORAGE_ACCOUNT_KEY": "k1"},
            ("one", "https://one.blob.core.windows.net", "default", None),
        ),
        (
            {"account": "one", "sas_token": "sig"},
            "",
            {"AZURE_STORAGE_ACCOUNT_KEY": "k1"},
            ("one", "https://one.blob.core.windows.net", "sas", "sig"),
        ),
        (
            {"account": "one", "credential": "anonymous"},
            "",
            {"AZURE_STORAGE_ACCOUNT_KEY": "k1"},
            ("one", "https://one.blob.core.windows.net", "anonymous", None),
        ),
        (
            {"endpoint": "http://127.0.0.1:10000/dev/"},
            "",
            {},
            ("dev", "http://127.0.0.1:10000/dev", "default", None),
        ),
        (
            {"endpoint": "https://cn.blob.core.chinacloudapi.cn"},
            "",
            {},
            ("cn", "https://cn.blob.core.chinacloudapi.cn", "default", None),
        ),
    ],
)
def test_which_account_and_which_credential(
    options: dict[str, Any], host: str, environment: dict[str, str], expected: tuple[str, str, str, str | None]
) -> None:
    assert tuple(account_of(azure_options(options), host, environment)) == expected


@pytest.mark.parametrize("kind", [S3Options, AzureOptions])
def test_each_option_is_explained_on_its_page(kind: type) -> None:
    from pathlib import Path

    page = Path(__file__).parents[2] / "docs" / "configuring" / f"{kind.__name__.removesuffix('Options').lower()}.md"
    rows = {line.split("`")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")}
    assert set(get_type_hints(kind)) <= rows
