"""A tracked run: what the script sees, what is shown, what is stored, what is kept."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runfolio.errors import ConfigurationError
from runfolio_plugins.launch.request import LaunchRequest, locate, refuse_wild_root

if TYPE_CHECKING:
    from conftest import Project  # type: ignore[import-not-found]  # pytest's own module


pytestmark = pytest.mark.local_only(
    "tracked runs: processes, files and signals of this machine (tests/plugins/launch/test_stores.py: each store)"
)


def test_output_is_shown_in_the_documented_order(project: Project) -> None:
    done = project.launch("import sys\nprint('hällo 漢字 🎉')\nprint('oops', file=sys.stderr)\n")
    run_id = done.run.id
    assert (
        f"RunId: {run_id}\n\n"
        "Executing user inputs .....\n===========================\n\n"
        "hällo 漢字 🎉\n\n"
        f"Execution Details\n=================\nRunId: {run_id}\n"
    ) == done.out
    assert "oops\n" == done.err
    assert sorted("hällo 漢字 🎉\noops\n".splitlines()) == sorted(done.text("logs/driver_log.txt").splitlines())
    assert 0 == done.code
    assert "Completed" == done.run.status
    assert [] == project.kept()


def test_the_record_says_what_was_run(project: Project) -> None:
    project.write("code/step.py", "print(1)\n")
    done = project.launch(
        "code/step.py", "-c", "x", "--help", name="first", note="why", tags=("a", "b"), experiment="steps"
    )
    record = done.run.record
    assert ("code/step.py", "steps", "first", "why", "proj") == (
        record.script_name, record.experiment, record.name, record.note, record.project,
    )  # fmt: skip
    assert ["-c", "x", "--help"] == list(record.arguments)
    assert {"a", "b"} == set(record.tags)
    assert "local" == record.target
    assert {"PythonVersion", "Host", "PythonExecutable"} <= set(record.properties)
    story = done.text("logs/control_log.txt")
    assert "code/step.py" in story
    assert "the run ends as Completed, exit code 0" in story


def test_the_script_finds_what_it_relies_on(project: Project) -> None:
    project.write("at_root.py", "value = 'root'")
    project.write("code/beside.py", "value = 'beside'")
    project.write(
        "code/01 step/Main.py",
        """
        import at_root, os, sys
        print(os.getcwd() == os.path.dirname(at_root.__file__), __name__, sys.argv, os.listdir("outputs"))
        share = os.environ["AZUREML_NATIVE_SHARE_DIRECTORY"]
        print(share == os.environ["RUNFOLIO_SHARE_DIRECTORY"], share.endswith(os.sep), os.path.isdir(share))
        print(os.path.basename(os.getcwd()))
        open(share + "counter", "a").write("x")
        print(open(share + "counter").read())
        """,
    )
    for count, script in enumerate(["./code/01 step/Main.py", "code\\01 step\\Main.py"], 1):
        done = project.launch(script, "7", "-r")
        given = script.replace("\\", "/")
        assert [f"True __main__ ['{given}', '7', '-r'] []", "True True True", "proj", "x" * count] == done.text(
            "logs/driver_log.txt"
        ).splitlines(), done.err


def test_a_script_can_be_asked_for_from_a_folder_below(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("code/step.py", "import os, sys\nprint(sys.argv[0], os.path.exists('runfolio.toml'))\n")
    monkeypatch.chdir(project.root / "code")
    done = project.launch("step.py", folder=str(project.root / "code"))
    assert "code/step.py True\n" == done.text("logs/driver_log.txt")
    assert "code/step.py" == done.run.record.script_name


def test_a_script_can_be_asked_for_from_another_folder(project: Project, own_surroundings: Path) -> None:
    project.write("step.py", "import os\nprint(os.path.exists('runfolio.toml'))\n")
    done = project.launch(str(project.root / "step.py"), folder=str(own_surroundings))
    assert "True\n" == done.text("logs/driver_log.txt")


def test_a_module_runs(project: Project) -> None:
    project.write("pkg/__init__.py", "")
    project.write("pkg/tool.py", "import sys; print(__name__, __package__, sys.argv[1:])")
    done = project.launch("pkg.tool", "-x", module=True)
    assert "__main__ pkg ['-x']\n" == done.text("logs/driver_log.txt")
    assert ("pkg.tool", "pkg.tool") == (done.run.record.script_name, done.run.record.experiment)


def test_shell_scripts_and_programs_run_as_they_are(project: Project) -> None:
    project.write("plain.sh", "echo plain $1 > outputs/a.txt; exit 7")
    path = project.write("tool", f"#!{sys.executable}\nimport sys; print('tool', sys.argv[1:])\n")
    path.chmod(0o755)
    done = project.launch("plain.sh", "x")
    assert (7, "Failed", ["outputs/a.txt"]) == (done.code, done.run.status, done.paths())
    assert "tool ['y']\n" == project.launch("tool", "y").text("logs/driver_log.txt")
    project.write("data.txt", "x")
    with pytest.raises(ConfigurationError, match="chmod"):
        project.launch("data.txt")
    broken = project.write("broken", "#!/no/such/interpreter\n")
    broken.chmod(0o755)
    done = project.launch("broken")
    assert (127, "Failed") == (done.code, done.run.status)
    assert "cannot be started" in done.err


@pytest.mark.parametrize(
    ("source", "code", "status", "reason"),
    [
        ("import sys\nsys.exit(3)\n", 3, "Failed", "exit code 3"),
        ("import sys\nsys.exit('bad luck')\n", 1, "Failed", "bad luck"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", 137, "Failed", "killed by signal 9 (SIGKILL)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", 130, "Canceled", "interrupted"),
        ("import os\nos._exit(4)\n", 4, "Failed", "exit code 4"),
    ],
)
def test_exit_codes(project: Project, source: str, code: int, status: str, reason: str) -> None:
    done = project.launch(source)
    assert (code, status) == (done.code, done.run.status)
    assert f"the run ends as {status} ({reason})" in done.text("logs/control_log.txt")


def test_an_exception_is_the_scripts_own(project: Project) -> None:
    done = project.launch(
        "import runfolio as rf\nrf.get_logger().log('loss', 0.5)\ndef f():\n    raise ValueError('no')\nf()\n"
    )
    assert (1, "Failed") == (done.code, done.run.status)
    for text in (done.err, done.text("logs/driver_log.txt")):
        trace = text[text.index("Traceback") :]
        assert re.fullmatch(
            r'Traceback \(most recent call last\):\n  File ".*/script\.py", line 5, in <module>\n    f\(\)\n'
            r'  File ".*/script\.py", line 4, in f\n    raise ValueError\(.no.\)\nValueError: no\n',
            trace,
        ), text
    end = project.history().run(done.run.id)
    assert 0.5 == end.metric("loss").values()[0]
    assert end.ending is not None
    assert ("ValueError: no", 1) == (end.ending.reason, end.ending.exit_code)
    assert end.ending.traceback == done.err[done.err.index("Traceback") :]


def test_outputs_are_stored_after_changes_of_folder(project: Project) -> None:
    done = project.launch(
        """
        import os, shutil
        here = os.getcwd()
        os.chdir("/")
        shutil.rmtree(os.path.join(here, "outputs"))
        os.makedirs(os.path.join(here, "outputs", "deep", "er"))
        for name, data in {"deep/er/x.bin": b"\\0" * 1000, "empty": b"", "a:b?.txt": b"odd"}.items():
            open(os.path.join(here, "outputs", name), "wb").write(data)
        os.chdir("/tmp")
        """
    )
    assert ["outputs/a%3Ab%3F.txt", "outputs/deep/er/x.bin", "outputs/empty"] == done.paths()
    assert b"\0" * 1000 == done.run.artifacts["outputs/deep/er/x.bin"].read_bytes()
    assert "'outputs/a:b?.txt' is stored as outputs/a%3Ab%3F.txt" in done.text("logs/control_log.txt")
    assert [] == project.kept()


def test_files_made_elsewhere_are_told_and_kept(project: Project) -> None:
    project.write("config.json", "{}")
    done = project.launch("open('other.txt', 'w').write('x')\nopen('config.json', 'w').write('[]')\n")
    assert "2 files were made or changed outside of outputs/" in done.err
    assert "config.json, other.txt" in done.err
    (kept,) = project.kept()
    assert str(kept) in done.err
    assert "x" == (kept / "proj" / "other.txt").read_text()
    assert "{}" == (project.root / "config.json").read_text()
    assert [] == done.paths()
    assert done.run.ending is not None
    assert ["config.json", "other.txt"] == list(done.run.ending.left_behind)


def test_names_that_are_no_text_are_stored_told_and_shown(project: Project) -> None:
    done = project.launch(
        "open(b'outputs/\\xff.bin', 'w').write('x')\nopen(b'left-\\xfe', 'w').write('x')\n", os.fsdecode(b"\xfd")
    )
    assert ["outputs/%FF.bin"] == done.paths()
    assert "\\xff.bin" == done.run.artifacts["outputs/%FF.bin"].original
    assert "left-\\udcfe" in done.err
    for form in ("json", "table", "tsv"):
        shown = project.runfolio("info", done.run.id, "-o", form)
        assert (0, "") == (shown.returncode, shown.stderr)
    ending = json.loads(project.runfolio("last", "--any-user").stdout)["ending"]
    assert [os.fsdecode(b"left-\xfe")] == ending["left_behind"]


def test_other_folders_can_be_captured(project: Project) -> None:
    project.write("runfolio.toml", 'project = "proj"\ncapture = ["checkpoints"]\n[system_metrics]\nenabled = false\n')
    project.write("checkpoints/old.pt", "old")
    project.write(".gitignore", "scratch/\n")
    project.write("scratch/x", "x")
    done = project.launch(
        "open('checkpoints/new.pt', 'w').write('n')\nopen('scratch/y', 'w').write('y')\n", capture=("scratch",)
    )
    assert ["outputs/checkpoints/new.pt", "outputs/scratch/y"] == done.paths()
    assert ["x"] == [path.name for path in (project.root / "scratch").iterdir()]
    assert [] == project.kept()


def test_a_file_over_the_limit_is_recorded_and_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNFOLIO_ARTIFACT_LIMIT", "1000")
    done = project.launch("open('outputs/big', 'wb').write(b'x' * 1001)\nopen('outputs/ok', 'wb').write(b'x' * 1000)\n")
    assert "outputs/big was not stored" in done.err
    status = {one.path: one.status for one in done.run.artifacts.list()}
    assert ("too large", "stored") == (status["outputs/big"], status["outputs/ok"])
    assert ("stored", "stored") == (status["logs/driver_log.txt"], status["logs/control_log.txt"])
    assert done.run.ending is not None
    (failed,) = done.run.ending.failed_uploads
    assert ("outputs/big", "it has 1,001 bytes, and the limit is 1,000") == (failed["path"], failed["reason"])
    (kept,) = project.kept()
    assert 1001 == (kept / "proj" / "outputs" / "big").stat().st_size


def test_what_is_no_file_is_told(project: Project) -> None:
    done = project.launch("import os\nos.mkfifo('outputs/pipe')\nos.symlink('/etc/hostname', 'outputs/out')\n")
    assert "outputs/pipe was not stored: it is a named pipe" in done.err
    assert 2 == len(done.run.record.properties["SkippedOutputs"])
    assert 0 == done.code


def test_a_file_that_still_grows_is_stored_as_read(project: Project) -> None:
    """Whatever of it was read, length and hash in the record are those of what is stored."""
    import hashlib

    done = project.launch(
        """
        import os, subprocess, sys
        grow = "import time; f = open('outputs/growing', 'ab', 0)\\nwhile True: f.write(b'x' * 100)"
        child = subprocess.Popen([sys.executable, "-c", grow], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (os.path.exists("outputs/growing") and os.path.getsize("outputs/growing")): pass
        print(child.pid)
        """
    )
    os.kill(int(done.text("logs/driver_log.txt")), 9)
    (growing,) = [one for one in done.run.artifacts.list() if one.path == "outputs/growing"]
    data = done.run.artifacts["outputs/growing"].read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (growing.size, growing.sha256)
    assert growing.status in ("stored", "changed while read")
    assert "still running" in done.err


def test_runs_in_the_project_itself(project: Project) -> None:
    project.write("outputs/before.txt", "old")
    done = project.launch(
        "import os\nprint(os.getcwd())\nopen('outputs/new.txt', 'w').write('n')\nopen('here.txt', 'w').write('h')\n",
        in_place=True,
    )
    assert f"{project.root.resolve()}\n" == done.text("logs/driver_log.txt")
    assert ["outputs/new.txt"] == done.paths()
    assert (project.root / "here.txt").exists()
    assert [] == project.kept()


def test_parallel_runs_do_not_mix(project: Project) -> None:
    project.write(
        "script.py",
        """
        import os, sys, runfolio as rf
        word = sys.argv[1]
        open("outputs/result.txt", "w").write(word)
        rf.get_logger().log("word", word)
        print(word, os.listdir("outputs"))
        """,
    )
    done = []
    threads = [
        threading.Thread(target=lambda word=str(word): done.append(project.runfolio("run", "script.py", word)))
        for word in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [0] * 4 == [one.returncode for one in done], [one.stderr for one in done]
    runs = list(project.history().runs())
    assert 4 == len({run.record.run_number for run in runs})
    for run in runs:
        (word,) = run.record.arguments
        assert word == run.artifacts["outputs/result.txt"].read_bytes().decode()
        assert [word] == list(run.metric("word").values())
        assert f"{word} ['result.txt']\n" == run.artifacts["logs/driver_log.txt"].read_bytes().decode()


def test_a_run_inside_a_run_is_its_child(project: Project) -> None:
    project.write("inner.py", "print('inner')\n")
    done = project.launch(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'runfolio_plugins.cli', 'run', 'inner.py'], check=True)\n"
    )
    runs = {run.record.script_name: run.record for run in project.history().runs()}
    assert {"inner.py", "script.py"} == set(runs), done.err
    assert runs["script.py"].run_id == runs["inner.py"].parent_run_id


def test_a_store_that_fails_does_not_stop_the_script(project: Project, own_surroundings: Path) -> None:
    blocked = own_surroundings / "blocked"
    blocked.write_text("a file, where a store would be")
    done = project.runfolio(
        "run",
        "--store",
        str(blocked),
        str(project.write("script.py", "open('outputs/x', 'w').write('y')\nprint('ran')\n")),
    )
    assert 0 == done.returncode, done.stderr
    assert "ran\n" in done.stdout
    assert "runfolio sync" in done.stderr
    (kept,) = project.kept()
    assert "y" == (kept / "proj" / "outputs" / "x").read_text()
    blocked.unlink()
    synced = project.runfolio("sync", "--store", str(blocked))
    assert 0 == synced.returncode, synced.stderr
    listed = project.runfolio("info", "--store", str(blocked), "@last", "-a", "driver_log")
    assert "ran\n" == listed.stdout, listed.stderr


def test_offline_runs_are_kept_until_they_are_sent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("script.py", "open('outputs/x', 'w').write('y')\n")
    monkeypatch.setenv("RUNFOLIO_MODE", "offline")
    done = project.runfolio("run", "script.py")
    assert 0 == done.returncode, done.stderr
    assert 1 == len(project.kept())
    monkeypatch.delenv("RUNFOLIO_MODE")
    assert 0 == project.runfolio("sync").returncode
    run = project.last()
    assert ("Completed", b"y") == (run.status, run.artifacts["outputs/x"].read_bytes())
    assert run.id in done.stdout
    assert "removed" in project.runfolio("clean", "--all").stdout


def test_nothing_is_recorded_when_that_is_wanted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("script.py", "import runfolio as rf\nrf.get_logger().log('x', 1)\nprint('ran')\n")
    monkeypatch.setenv("RUNFOLIO_MODE", "disabled")
    done = project.runfolio("run", "script.py")
    assert (0, "") == (done.returncode, done.stderr)
    assert "ran\n" in done.stdout
    assert [] == project.kept()
    assert not (project.root / ".runfolio").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"script": "absent.py"}, "no script"),
        ({"script": "train"}, "-m"),
        ({"script": "."}, "folder"),
        ({"script": "a.py", "python": "no-such-python"}, "interpreter"),
        ({"script": "a.py", "capture": ("../up",)}, "capture"),
    ],
)
def test_bad_requests_say_what_to_do(project: Project, options: dict[str, object], says: str) -> None:
    project.write("a.py", "")
    with pytest.raises(ConfigurationError, match=says):
        locate(LaunchRequest(**options))  # type: ignore[arg-type]  # one of each


def test_the_home_folder_is_not_copied_by_accident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.py").touch()
    with pytest.raises(ConfigurationError, match="in-place"):
        refuse_wild_root(locate(LaunchRequest(script="a.py", folder=str(tmp_path))))


def test_another_interpreter(project: Project, own_surroundings: Path) -> None:
    link = own_surroundings / "mypython"
    link.symlink_to(sys.executable)
    done = project.launch("import sys\nprint(sys.executable)\n", python=str(link))
    assert f"{link}\n" == done.text("logs/driver_log.txt")
    assert "mypython" == done.run.record.properties["PythonExecutable"]
