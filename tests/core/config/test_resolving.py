"""Which source wins, what a setting may be, and what a wrong one says."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runfolio.config import Origin, all_settings, describe, find_project, resolve, spool_folder, store_address, user_id
from runfolio.config.project import sanitized
from runfolio.errors import ConfigurationError
from runfolio.names import validate_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.config.conftest import Machine

ORDER = ["argument", "environment", "project", "user", "site"]


def _say(machine: Machine, source: str, experiment: str) -> dict[str, object]:
    if source == "argument":
        return {"experiment": experiment}
    if source == "environment":
        machine.environ["RUNFOLIO_EXPERIMENT"] = experiment
    else:
        machine.write(source, f'experiment = "{experiment}"')
    return {}


@pytest.mark.parametrize("strongest", range(5), ids=ORDER)
def test_the_stronger_source_wins_and_is_named(machine: Machine, strongest: int) -> None:
    explicit: dict[str, object] = {}
    for source in ORDER[strongest:]:
        explicit |= _say(machine, source, f"from {source}")
    settings = machine.resolve(explicit)
    assert settings.experiment == f"from {ORDER[strongest]}"
    assert settings.origin("experiment").kind == ORDER[strongest]


def test_sources_are_joined_key_by_key_and_table_by_table(machine: Machine) -> None:
    machine.write("site", 'mode = "offline"\n[system_metrics]\nenabled = false\ninterval = 60')
    machine.write("user", 'user_id = "ann"\n[system_metrics]\ninterval = "30s"')
    file = machine.write("project", 'project = "My Iris"\ncapture = ["checkpoints/"]')
    machine.environ["RUNFOLIO_FSYNC"] = "yes"
    settings = machine.resolve({"output.limit": 5, "experiment": None})
    assert (settings.mode, settings.system_metrics, settings.system_metrics_interval) == ("offline", False, 30.0)
    assert (settings.user_id, settings.project, settings.capture) == ("ann", "My Iris", ("checkpoints",))
    assert (settings.fsync, settings.output_limit, settings.experiment) == (True, 5, None)
    assert settings.origin("project") == Origin("project", str(file))
    assert settings.origin("system_metrics.enabled").kind == "site"
    assert settings.origin("system_metrics_interval").kind == "user"
    assert settings.origin("fsync") == Origin("environment", "RUNFOLIO_FSYNC")
    assert settings.origin("experiment") == Origin("default")


def test_defaults(machine: Machine) -> None:
    settings = machine.resolve()
    assert store_address(settings).path == machine.project / ".runfolio" / "store"
    assert (settings.project, settings.mode, settings.artifact_limit) == ("iris", "online", 512 * 1024**2)
    assert (settings.system_metrics, settings.system_metrics_interval, settings.fsync) == (True, 15.0, False)
    assert settings.notes == ()
    assert all(settings.origin(one.key).kind == "default" for one in all_settings())


def test_settings_and_addresses_can_be_pickled(machine: Machine) -> None:
    machine.write("user", "[stores.team]\nurl = 's3://bucket'\noptions = {anon = true}")
    settings = machine.resolve({"store": "team"})
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert pickle.loads(pickle.dumps(store_address(settings))) == store_address(settings)


def test_every_setting_is_documented_and_has_its_variable() -> None:
    for one in all_settings():
        assert one.doc.endswith(".")
        assert one.variables[0] == "RUNFOLIO_" + one.key.upper().replace(".", "_")


@pytest.mark.parametrize(
    ("variable", "text", "attribute", "value"),
    [
        ("RUNFOLIO_MODE", "disabled", "mode", "disabled"),
        ("RUNFOLIO_USER", "ann", "user_id", "ann"),
        ("RUNFOLIO_USER_ID", "ann", "user_id", "ann"),
        ("RUNFOLIO_SYSTEM_METRICS", "off", "system_metrics", False),
        ("RUNFOLIO_SYSTEM_METRICS_ENABLED", "0", "system_metrics", False),
        ("RUNFOLIO_SYSTEM_METRICS_INTERVAL", "500ms", "system_metrics_interval", 0.5),
        ("RUNFOLIO_FSYNC", "TRUE", "fsync", True),
        ("RUNFOLIO_CAPTURE", "a, b/c/,", "capture", ("a", "b/c")),
        ("RUNFOLIO_PLUGINS_DISABLED", "cli,launch", "plugins_disabled", ("cli", "launch")),
        ("RUNFOLIO_ARTIFACT_LIMIT", "1.5 MB", "artifact_limit", 1_500_000),
        ("RUNFOLIO_ARTIFACT_LIMIT", "2GiB", "artifact_limit", 2 * 1024**3),
        ("RUNFOLIO_ARTIFACT_LIMIT", "0", "artifact_limit", 0),
        ("RUNFOLIO_FLUSH_INTERVAL", "2 min", "flush_interval", 120.0),
        ("RUNFOLIO_OUTPUT_LIMIT", "20", "output_limit", 20),
        ("RUNFOLIO_EXPERIMENT", "  ", "experiment", None),
        ("RUNFOLIO_PROJECT", "42", "project", "42"),
    ],
)
def test_environment(machine: Machine, variable: str, text: str, attribute: str, value: object) -> None:
    machine.environ[variable] = text
    settings = machine.resolve()
    assert getattr(settings, attribute) == value
    assert type(getattr(settings, attribute)) is type(value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stroe = 'x'", "did you mean store"),
        ("interval = 5", "did you mean system_metrics.interval"),
        ("zzz = 5", "store, project"),
        ("mode = 'on'", "online, offline, disabled"),
        ("store = 5", "expected a text"),
        ("store = ''", "expected a text"),
        ("fsync = 'true'", "expected true or false"),
        ("fsync = 1", "expected true or false"),
        ("capture = 'a'", "expected a list"),
        ("capture = [1]", "expected a list"),
        ("capture = ['../x']", "relative folders"),
        ("capture = ['/etc']", "relative folders"),
        ("artifact_limit = '5 XB'", "bytes"),
        ("artifact_limit = -1", "bytes"),
        ("artifact_limit = true", "bytes"),
        ("flush_interval = 0", "positive"),
        ("flush_interval = inf", "positive"),
        ("flush_interval = nan", "positive"),
        ("flush_interval = 'soon'", "positive"),
        ("project = 'a/b'", "slash"),
        ("system_metrics = false", "system_metrics.enabled"),
        ("[system_metrics]\ninterval = true", "positive"),
        ("[system_metrics]\nintervall = 5", "did you mean system_metrics.interval"),
        ("[output]\nlimit = 0", "above zero"),
        ("[output]\nlimit = '5'", "above zero"),
        ("[output]\nformat = 'xml'", "json"),
        ("[snapshot]\nmode = 'x'", "full, git, off"),
        ("stores = 5", "[stores.NAME]"),
        ("[stores]\nteam = 's3://b'", "expected a table"),
        ("[stores.team]\nurll = 's3://b'", "did you mean url"),
        ("[stores.team]\nsingle_writer = true", "url is missing"),
        ("[stores.team]\nurl = 's3://b'\noptions = 5", "options is wrong"),
        ("[stores.team]\nurl = 's3://b'\nsingle_writer = 1", "single_writer is wrong"),
        ("[stores.'a/b']\nurl = 's3://b'", "has no /"),
    ],
)
@pytest.mark.parametrize("where", ["project", "user", "site"])
def test_wrong_file_names_file_key_and_remedy(machine: Machine, where: str, line: str, words: str) -> None:
    path = machine.write(where, line)
    with pytest.raises(ConfigurationError) as caught:
        machine.resolve()
    message = str(caught.value)
    key = line.split("=", 1)[0].split("\n", 1)[0].strip(" []").split(".")[0]
    assert str(path) in message
    assert key in message
    assert words in message


def test_keys_of_pyproject_are_named_as_they_stand_there(machine: Machine) -> None:
    path = machine.write("pyproject", "[tool.runfolio]\nmod = 'online'")
    with pytest.raises(ConfigurationError, match=r"tool\.runfolio\.mod .*did you mean mode") as caught:
        machine.resolve()
    assert str(path) in str(caught.value)
    machine.write("pyproject", "[tool]\nrunfolio = 5")
    with pytest.raises(ConfigurationError, match=r"\[tool.runfolio\]"):
        machine.resolve()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("RUNFOLIO_MODE", "on"),
        ("RUNFOLIO_FSYNC", "maybe"),
        ("RUNFOLIO_OUTPUT_LIMIT", "many"),
        ("RUNFOLIO_PROJECT", "a/b"),
    ],
)
def test_wrong_variable_is_named(machine: Machine, variable: str, text: str) -> None:
    machine.environ[variable] = text
    with pytest.raises(ConfigurationError, match=variable):
        machine.resolve()


def test_two_variables_for_one_setting_must_agree(machine: Machine) -> None:
    machine.environ |= {"RUNFOLIO_USER": "ann", "RUNFOLIO_USER_ID": "ann"}
    assert machine.resolve().user_id == "ann"
    machine.environ["RUNFOLIO_USER"] = "bob"
    with pytest.raises(ConfigurationError, match="RUNFOLIO_USER_ID and RUNFOLIO_USER differ"):
        machine.resolve()


@pytest.mark.parametrize(
    ("explicit", "words"), [({"stor": "x"}, "did you mean store"), ({"mode": "on"}, "argument mode")]
)
def test_wrong_argument(machine: Machine, explicit: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        machine.resolve(explicit)


@pytest.mark.parametrize("where", ["project", "pyproject", "user", "site"])
def test_a_syntax_error_names_file_and_line(machine: Machine, where: str) -> None:
    table = "[tool.runfolio]\n" if where == "pyproject" else "\n"
    path = machine.write(where, f"{table}mode = \n")
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        machine.resolve()
    assert str(path) in str(caught.value)


def test_files_with_a_byte_order_mark_and_files_that_are_not_text(machine: Machine) -> None:
    path = machine.write("user", "")
    path.write_bytes(b"\xef\xbb\xbfmode = 'offline'")
    assert machine.resolve().mode == "offline"
    path.write_bytes(b"mode = 'offline'\nuser_id = '\xff'")
    with pytest.raises(ConfigurationError, match="line 2 is not UTF-8"):
        machine.resolve()


def test_broken_pyproject_of_somebody_else_is_left_alone(machine: Machine) -> None:
    machine.write("pyproject", "[tool.black\n")
    assert machine.resolve().project == "iris"


def test_probably_misspelt_variables_are_noted(machine: Machine) -> None:
    machine.environ |= {"RUNFOLIO_STROE": "x", "RUNFOLIO_REQUIRE_ALL": "1", "RUNFOLIO_RUN_ID": "x", "PATH": "/bin"}
    (note,) = machine.resolve().notes
    assert "RUNFOLIO_STROE" in note
    assert "RUNFOLIO_STORE?" in note


def test_this_process_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNFOLIO_EXPERIMENT", "x")
    monkeypatch.setenv("RUNFOLIO_CONFIG_DIR", str(tmp_path / "conf"))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.toml").write_text("user_id = 'ann'")
    settings = resolve()
    assert (settings.experiment, settings.user_id, settings.root) == ("x", "ann", tmp_path)


# Projects


@pytest.mark.parametrize("marker", ["runfolio.toml", "pyproject.toml", ".runfolio/", ".git/", ".git"], ids=str)
def test_project_is_the_nearest_folder_with_a_marker(tmp_path: Path, marker: str) -> None:
    inner = tmp_path / "outer" / "middle" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / ".git").mkdir()
    assert find_project(inner).root == tmp_path / "outer"
    path = tmp_path / "outer" / "middle" / marker
    if marker.endswith("/"):
        path.mkdir()
    else:
        path.write_text("[tool.runfolio]\nproject = 'p'" if marker == "pyproject.toml" else "")
    found = find_project(inner)
    assert found.root == tmp_path / "outer" / "middle"
    assert found.file == (path if path.suffix == ".toml" else None)


def test_pyproject_without_our_table_is_no_marker(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\ndependencies = ['runfolio']")
    (tmp_path / ".git").mkdir()
    assert find_project(tmp_path / "a").root == tmp_path


def test_own_file_beside_pyproject_wins_and_says_so(machine: Machine) -> None:
    machine.write("pyproject", "[tool.runfolio]\nproject = 'a'")
    machine.write("project", "project = 'b'")
    settings = machine.resolve()
    assert settings.project == "b"
    assert "ignored" in settings.notes[0]


def test_without_marker_the_folder_itself_is_the_project(tmp_path: Path) -> None:
    folder = tmp_path / "no project"
    folder.mkdir()
    found = find_project(folder)
    assert (found.root, found.file, found.folder_name) == (folder, None, "no project")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iris", "iris"),
        (" a b ", "a b"),
        ("", "project"),
        ("..", "project"),
        ("a\x07b", "a-b"),
        ("é" * 100, "é" * 23),
        ("#1", "#1"),
    ],
)
def test_folder_names_become_project_names(name: str, expected: str) -> None:
    assert sanitized(name) == expected
    assert validate_project(sanitized(name))


# Users, spool, description


def test_user_id(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "login")
    assert user_id(machine.resolve()) == "login"
    assert user_id(machine.resolve({"user_id": "ann"})) == "ann"
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654, raising=False)
    assert user_id(machine.resolve()) == "uid987654"


def test_spool_folder_is_made_where_it_is_configured(machine: Machine) -> None:
    machine.environ["RUNFOLIO_SPOOL"] = "here"
    folder = spool_folder(machine.resolve(), machine.places)
    assert folder == machine.project / "here"
    assert folder.is_dir()


def test_spool_folder_is_in_the_users_state_else_in_the_project(machine: Machine) -> None:
    settings = machine.resolve()
    assert spool_folder(settings, machine.places) == machine.places.user_state / "spool"
    machine.places.user_state.rename(machine.places.user_state.with_name("away"))
    machine.places.user_state.write_text("a file where the folder should be")
    assert spool_folder(settings, machine.places) == machine.project / ".runfolio" / "spool"
    (machine.project / ".runfolio" / "spool").rmdir()
    (machine.project / ".runfolio" / "spool").write_text("here too")
    with pytest.raises(ConfigurationError, match="RUNFOLIO_SPOOL"):
        spool_folder(settings, machine.places)
    with pytest.raises(ConfigurationError, match="argument"):
        spool_folder(machine.resolve({"spool": machine.places.user_state / "x"}), machine.places)


@pytest.mark.parametrize("path", ["/tmp/x", "../x", "a/../../x", "~/x"])
def test_project_file_may_not_spool_outside_of_the_project(machine: Machine, path: str) -> None:
    machine.write("project", f"spool = '{path}'")
    with pytest.raises(ConfigurationError, match="folder of the project"):
        machine.resolve()
    machine.write("project", "spool = '.runfolio/mine'")
    assert machine.resolve(start=machine.project / "sub").spool == str(machine.project / ".runfolio" / "mine")


def test_users_file_names_absolute_paths(machine: Machine) -> None:
    machine.write("user", "spool = 'x'")
    with pytest.raises(ConfigurationError, match="absolute"):
        machine.resolve()


def test_description_has_every_setting_with_its_origin_and_no_secret(machine: Machine) -> None:
    machine.write(
        "user",
        "store = 'team'\n[stores.team]\nurl = 's3://bucket/x'\nsingle_writer = true\n"
        "[stores.team.options]\nclient_kwargs = { endpoint_url = 'http://h' }\n",
    )
    machine.environ |= {"RUNFOLIO_USER": "ann", "RUNFOLIO_CAPTURE": "a,b"}
    settings = machine.resolve({"mode": "offline", "project": "token=hush"})
    # Files hold no secrets; should a profile have one all the same, it is not shown.
    team = settings.stores["team"]
    secret = {**team.options, "key": "AKIAABCDEFGHIJKLMNOP", "secret": "hush", "more": {"api_key": "hush"}}
    settings = replace(settings, stores={"team": replace(team, options=secret)})
    lines = describe(settings, machine.places)
    shown = {line.key: (line.value, line.origin) for line in lines}
    assert {one.key for one in all_settings()} <= set(shown)
    assert shown["store"] == ("team (s3://bucket/x)", f"user file {machine.places.user_file}")
    assert shown["user_id"] == ("ann", "environment RUNFOLIO_USER")
    assert shown["mode"] == ("offline", "argument")
    assert shown["capture"] == ("a, b", "environment RUNFOLIO_CAPTURE")
    assert shown["spool"] == (str(machine.places.user_state / "spool"), "default")
    assert shown["stores.team.single_writer"][0] == "true"
    assert "endpoint_url=http://h" in shown["stores.team.options.client_kwargs"][0]
    assert "hush" not in str(lines)
    assert "AKIA" not in str(lines)
