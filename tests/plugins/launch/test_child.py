"""Scripts run as they would with plain Python."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from runfolio_plugins.launch import child

BOOTSTRAP = child.__file__


class Script:
    """A script below a root, run by the bootstrap and by plain Python."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.report = root.parent / "report.json"

    def tracked(self, path: str, *arguments: str, module: bool = False) -> subprocess.CompletedProcess[str]:
        word = "-m" if module else str(self.root / path)
        return self._run(BOOTSTRAP, str(self.report), str(self.root), word, path, *arguments)

    def plain(self, path: str, *arguments: str, module: bool = False) -> subprocess.CompletedProcess[str]:
        return self._run(*(["-m", path] if module else [str(self.root / path)]), *arguments)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.root,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def reported(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.report.read_text(encoding="utf-8"))
        return found


@pytest.fixture
def script(tmp_path: Path) -> Script:
    root = tmp_path / "proj"
    root.mkdir()
    return Script(root)


def write(script: Script, name: str, text: str) -> None:
    path = script.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('bös')",
        "def f():\n    {}['x']\ntry:\n    f()\nexcept KeyError as e:\n    raise RuntimeError(3) from e",
        "x = 1\n  y = 2",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('bad luck')",
        "raise SystemExit",
        "import sys; sys.excepthook = lambda *a: print('mine', a[1], file=sys.stderr); 1 / 0",
        "import absent_module",
        "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
        "import threading; threading.Thread(target=lambda: print('in thread')).start(); 1 / 0",
        "import atexit; atexit.register(print, 'bye'); 1 / 0",
        "assert False, 'no'",
    ],
)
def test_output_and_exit_code_are_those_of_plain_python(script: Script, source: str) -> None:
    write(script, "script.py", source)
    plain, tracked = script.plain("script.py"), script.tracked("script.py")
    assert (plain.returncode, plain.stdout, plain.stderr) == (tracked.returncode, tracked.stdout, tracked.stderr)


def test_the_report_has_the_scripts_own_traceback(script: Script) -> None:
    write(script, "script.py", "def fails():\n    raise ValueError('no')\nfails()\n")
    plain = script.plain("script.py")
    script.tracked("script.py")
    assert {"traceback": plain.stderr, "reason": "ValueError: no", "interrupted": False} == script.reported()


def test_success_leaves_no_report(script: Script) -> None:
    write(script, "script.py", "import os\nif os.fork() == 0:\n    raise ValueError('in a forked child')\nos.wait()\n")
    assert 0 == script.tracked("script.py").returncode
    assert not script.report.exists()


def test_the_module_looks_as_it_does_in_plain_python(script: Script) -> None:
    write(
        script,
        "pkg/script.py",
        """
        from __future__ import annotations
        import sys
        print(__name__, __spec__, __package__, __doc__, type(__loader__).__name__, __file__, sys.argv[1:],
        sorted(globals())) def f(a: undefined): pass
        """,
    )
    assert (
        script.plain("pkg/script.py", "-c", "--help").stdout == script.tracked("pkg/script.py", "-c", "--help").stdout
    )


def test_future_statements_of_the_bootstrap_do_not_leak(script: Script) -> None:
    write(script, "script.py", "def f(a: 1 + 1): pass\nprint(f.__annotations__)\n")
    assert "{'a': 2}\n" == script.tracked("script.py").stdout


def test_siblings_and_packages_at_the_root_can_be_imported(script: Script) -> None:
    write(script, "at_root.py", "value = 1")
    write(script, "code/beside.py", "value = 2")
    write(script, "code/script.py", "import at_root, beside, sys; print(at_root.value, beside.value, sys.path[:2])")
    done = script.tracked("code/script.py")
    assert f"1 2 {[str(script.root / 'code'), str(script.root)]}\n" == done.stdout


def test_classes_of_the_script_pickle_and_show_their_source(script: Script) -> None:
    write(
        script,
        "script.py",
        """
        import dataclasses, inspect, multiprocessing, pickle

        @dataclasses.dataclass
        class Point:
            x: "int" = 3

        def double(point):
            return Point(point.x * 2)

        if __name__ == "__main__":
            print(pickle.loads(pickle.dumps(Point(4))), inspect.getsource(double).strip().splitlines()[-1])
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(pool.map(double, [Point(1)]))
        """,
    )
    done = script.tracked("script.py")
    assert "Point(x=4)     return Point(point.x * 2)\n[Point(x=2)]\n[Point(x=2)]\n" == done.stdout, done.stderr


def test_modules_run_as_with_dash_m(script: Script) -> None:
    write(script, "pkg/__init__.py", "")
    write(script, "pkg/__main__.py", "import sys; print(__name__, __package__, __spec__.name, sys.argv, sys.path[0])")
    write(script, "pkg/tool.py", "from pkg import __name__ as n; print(n, __name__, __file__)")
    for module in ("pkg", "pkg.tool"):
        plain, tracked = script.plain(module, "a", module=True), script.tracked(module, "a", module=True)
        assert (0, plain.stdout) == (tracked.returncode, tracked.stdout)
    absent = script.tracked("no_such", module=True)
    assert (1, True) == (absent.returncode, "No module named no_such" in absent.stderr)


def test_a_traceback_without_end_is_cut(script: Script) -> None:
    write(script, "script.py", "raise ValueError('x' * 1_000_000)\n")
    script.tracked("script.py")
    assert len(script.reported()["traceback"]) < 250_000
    assert script.reported()["traceback"].startswith("Traceback")


def test_an_exception_that_cannot_be_shown_is_reported_by_its_class(script: Script) -> None:
    write(script, "script.py", "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd\n")
    assert 1 == script.tracked("script.py").returncode
    assert "Odd" in script.reported()["traceback"]
