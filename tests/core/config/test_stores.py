"""Which store a word means, and which stores need an approval."""

from __future__ import annotations

import json
import os
import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runfolio.config import (
    Origin,
    StoreAddress,
    approve,
    approved,
    needs_trust,
    require_trust,
    revoke,
    store_address,
    trust_url,
)
from runfolio.config.stores import local_path, normalised, path_url
from runfolio.errors import ConfigurationError, UntrustedStoreError

if TYPE_CHECKING:
    from tests.core.config.conftest import Machine


@pytest.mark.parametrize(
    ("word", "url"),
    [
        ("runs", "file:///base/runs"),
        ("./runs/", "file:///base/runs"),
        ("../runs", "file:///runs"),
        ("/a//b/", "file:///a/b"),
        ("/a b/#1?é", "file:///a%20b/%231%3F%C3%A9"),
        ("file:///a%20b/", "file:///a%20b"),
        ("FILE:///a", "file:///a"),
        ("file://localhost/a", "file:///a"),
        ("file:/a", "file:///a"),
        ("lmdb:///data/history/", "lmdb:///data/history"),
        ("memory://", "memory://"),
        ("memory://x/", "memory://x"),
        ("S3://Bucket//pre//fix/", "s3://Bucket/pre/fix"),
        ("az://container", "az://container"),
        ("abfss://container@account.dfs.core.windows.net/p", "abfss://container@account.dfs.core.windows.net/p"),
        ("c:relative", "file:///base/c%3Arelative"),
    ],
)
def test_words_become_urls(word: str, url: str) -> None:
    assert normalised(word, Path("/base")) == url
    assert normalised(url, Path("/elsewhere")) == url


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert normalised("~/runs", None) == "file:///home/ann/runs"


@pytest.mark.parametrize("path", ["/a", "/", "/a b", "/a#b?c%20d", "/é/ü", os.fsdecode(b"/no-\xff-utf8")])
def test_paths_survive_the_way_through_a_url(path: str) -> None:
    assert local_path(path_url(Path(path))) == Path(path)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("", "empty"),
        ("a\0b", "empty"),
        ("s3:bucket", "s3://"),
        ("s3://", "bucket"),
        ("s3:///x", "bucket"),
        ("s3://key:hush@bucket/x", "credentials"),
        ("https://hush@host/x", "credentials"),
        ("https://host/x?sig=hush", "query"),
        ("s3://bucket/../x", "'..'"),
        ("file://server/share", "computer 'server'"),
    ],
)
def test_words_that_mean_no_store(word: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalised(word, Path("/base"))
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)


def test_relative_paths_start_where_they_are_said(machine: Machine, tmp_path: Path) -> None:
    sub = machine.project / "sub"
    sub.mkdir()
    machine.write("project", "store = 'runs'")
    assert store_address(machine.resolve(start=sub)).path == machine.project / "runs"
    machine.environ["RUNFOLIO_STORE"] = "runs"
    assert store_address(machine.resolve(start=sub)).path == sub / "runs"
    assert store_address(machine.resolve({"store": Path("../x")}, sub)).path == machine.project / "x"
    machine.environ.clear()
    (machine.project / "runfolio.toml").unlink()
    machine.write("user", "store = 'runs'")
    with pytest.raises(ConfigurationError, match="absolute"):
        store_address(machine.resolve())
    machine.write("user", f"store = '{tmp_path / 'mine'}'")
    assert store_address(machine.resolve()).path == tmp_path / "mine"


def test_profiles(machine: Machine) -> None:
    machine.write("user", "[stores.team]\nurl = 's3://bucket/runs'\nsingle_writer = true\noptions = {anon = false}")
    address = store_address(machine.resolve({"store": "team"}))
    assert (address.url, address.name, address.single_writer) == ("s3://bucket/runs", "team", True)
    assert dict(address.options) == {"anon": False}
    assert address.origin.kind == "user"
    assert address.path is None


def test_profile_of_a_stronger_file_replaces_the_other_as_a_whole(machine: Machine) -> None:
    machine.write("user", "[stores.team]\nurl = 's3://bucket'\nsingle_writer = true\noptions = {profile = 'me'}")
    machine.write("project", "[stores.team]\nurl = 'az://evil'")
    address = store_address(machine.resolve({"store": "team"}))
    assert (address.url, dict(address.options), address.single_writer) == ("az://evil", {}, False)
    assert address.origin.kind == "project"


def test_profile_paths_start_at_their_project(machine: Machine) -> None:
    machine.write("project", "[stores.here]\nurl = 'sub/store'")
    assert store_address(machine.resolve({"store": "here"}, machine.project)).path == machine.project / "sub" / "store"
    machine.write("project", "[stores.a]\nurl = 'b'\n[stores.b]\nurl = 's3://x'")
    with pytest.raises(ConfigurationError, match="another store"):
        store_address(machine.resolve({"store": "a"}))


def test_word_that_nearly_names_a_profile_is_no_new_folder(machine: Machine) -> None:
    machine.write("user", "[stores.team]\nurl = 's3://bucket'")
    with pytest.raises(ConfigurationError, match="did you mean 'team'"):
        store_address(machine.resolve({"store": "teem"}))
    (machine.project / "teem").mkdir()
    assert store_address(machine.resolve({"store": "teem"})).path == machine.project / "teem"
    assert store_address(machine.resolve({"store": "./taem"})).path == machine.project / "taem"


def test_addresses_hide_secrets_when_shown() -> None:
    assert "hush" not in repr(StoreAddress("https://ann:hush@h/x", {"secret": "hush"}))


# Trust


def test_store_of_a_project_file_must_be_approved_once(machine: Machine) -> None:
    path = machine.write("project", "store = 's3://bucket/runs'")
    address = store_address(machine.resolve())
    with pytest.raises(UntrustedStoreError) as caught:
        require_trust(address, machine.places)
    assert "runfolio trust s3://bucket/runs" in str(caught.value)
    assert str(path) in str(caught.value)
    assert approve("s3://bucket/runs/", machine.places) == "s3://bucket/runs"
    require_trust(address, machine.places)
    assert [one.url for one in approved(machine.places)] == ["s3://bucket/runs"]
    machine.write("project", "store = 's3://bucket/runs/deeper'")
    with pytest.raises(UntrustedStoreError):
        require_trust(store_address(machine.resolve()), machine.places)
    assert revoke("s3://bucket/runs", machine.places)
    assert not revoke("s3://bucket/runs", machine.places)
    with pytest.raises(UntrustedStoreError):
        require_trust(address, machine.places)


@pytest.mark.parametrize("source", ["argument", "environment", "user", "site"])
def test_what_the_user_or_the_site_says_needs_no_approval(machine: Machine, source: str) -> None:
    explicit = {"store": "s3://bucket/x"} if source == "argument" else {}
    if source == "environment":
        machine.environ["RUNFOLIO_STORE"] = "s3://bucket/x"
    elif source != "argument":
        machine.write(source, "store = 's3://bucket/x'")
    address = store_address(machine.resolve(explicit))
    assert not needs_trust(address)
    require_trust(address, machine.places)


@pytest.mark.parametrize("say", ["argument", "environment"])
def test_profile_of_a_project_file_needs_approval_whoever_names_it(machine: Machine, say: str) -> None:
    machine.write("project", "[stores.team]\nurl = 's3://bucket/x'")
    explicit = {"store": "team"} if say == "argument" else {}
    if say == "environment":
        machine.environ["RUNFOLIO_STORE"] = "team"
    with pytest.raises(UntrustedStoreError):
        require_trust(store_address(machine.resolve(explicit)), machine.places)


def test_profile_of_the_user_named_by_a_project_file_needs_none(machine: Machine) -> None:
    machine.write("project", "store = 'team'")
    machine.write("user", "[stores.team]\nurl = 's3://bucket/x'")
    require_trust(store_address(machine.resolve()), machine.places)


@pytest.mark.parametrize("store", [".runfolio/store", "../beside", "/far/away", "file:///far/away", "memory://x"])
def test_folders_of_this_computer_need_none(machine: Machine, store: str) -> None:
    machine.write("project", f"store = '{store}'")
    require_trust(store_address(machine.resolve()), machine.places)


def test_folder_of_another_computer_needs_approval() -> None:
    assert needs_trust(StoreAddress("file:////server/share", origin=Origin("project", "/p/runfolio.toml")))
    assert not needs_trust(StoreAddress("file:////server/share", origin=Origin("user", "/u/config.toml")))


def test_approval_covers_the_options_since_an_endpoint_gets_the_credentials(machine: Machine) -> None:
    table = "store = 't'\n[stores.t]\nurl = 's3://b/p'\n[stores.t.options]\n"
    machine.write("project", table + "endpoint_url = 'https://minio.example:9000'\nanon = true")
    address = store_address(machine.resolve())
    approve("s3://b/p", machine.places)
    with pytest.raises(UntrustedStoreError) as caught:
        require_trust(address, machine.places)
    message = str(caught.value)
    command = shlex.split(message[message.index("runfolio trust") :])
    assert command[2] == trust_url(address)
    assert "endpoint_url=https://minio.example:9000" in command[2]
    approve(command[2], machine.places)
    require_trust(address, machine.places)
    for changed in (
        "endpoint_url = 'https://evil.example'\nanon = true",
        "endpoint_url = 'https://minio.example:9000'",
    ):
        machine.write("project", table + changed)
        with pytest.raises(UntrustedStoreError):
            require_trust(store_address(machine.resolve()), machine.places)


def test_damaged_or_moved_approvals_are_none(machine: Machine) -> None:
    approve("s3://a/b", machine.places)
    (file,) = machine.places.trusted.iterdir()
    address = StoreAddress("s3://a/b", origin=Origin("project", "x"))
    for body in ("{", "[]", "5", json.dumps({"url": "s3://other", "approved_utc": "x"}), json.dumps({"url": 5})):
        file.write_text(body)
        with pytest.raises(UntrustedStoreError):
            require_trust(address, machine.places)
    file.write_text("{")
    assert approved(machine.places) == []


def test_approvals_made_at_one_moment_are_all_kept_and_private(machine: Machine) -> None:
    threads = [threading.Thread(target=approve, args=(f"s3://bucket/{n}", machine.places)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(approved(machine.places)) == 16
    files = list(machine.places.trusted.iterdir())
    assert len(files) == 16
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


def test_approval_that_cannot_be_written_says_where(machine: Machine) -> None:
    machine.places.user_config.write_text("a file where the folder should be")
    with pytest.raises(ConfigurationError, match="trusted"):
        approve("s3://a/b", machine.places)
    assert approved(machine.places) == []


@pytest.mark.parametrize("source", ["project", "user", "site"])
@pytest.mark.parametrize(
    "option",
    [
        "secret = 'hush'", "account_key = 'hush'", "sas_token = 'hush'", "connection_string = 'hush'",
        "client_kwargs = { aws_secret_access_key = 'hush' }", "words = 'sv=1&AccountKey=hush'",
    ],
    ids=lambda option: option.split(" ")[0],
)  # fmt: skip
def test_a_secret_in_a_file_is_refused_and_not_shown(machine: Machine, source: str, option: str) -> None:
    machine.write(source, f"[stores.team]\nurl = 's3://b/p'\n[stores.team.options]\n{option}")
    with pytest.raises(ConfigurationError, match="AWS_PROFILE") as caught:
        machine.resolve()
    assert f"stores.team.options.{option.split(' ', maxsplit=1)[0]}" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_what_only_sounds_like_a_secret_is_none(machine: Machine) -> None:
    machine.write("user", "[stores.t]\nurl = 's3://b/p'\n[stores.t.options]\nexclude_credentials = true\nsecret = ''")
    assert machine.resolve().stores["t"].options["exclude_credentials"] is True
