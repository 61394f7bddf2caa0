"""The process in which a user's Python script runs: as if the interpreter had been started with the script itself.

It is run as a file, by any interpreter, and needs nothing but the standard library. What it adds to a plain start: the
root of the working copy can be imported from as well as the script's folder, and an exception leaves the script's own
traceback in a report for the launcher, with no frame of ours, neither there nor on stderr.
"""

# ruff: noqa: PLC0415, PTH120, PTH123, S102 (it starts fast and leaves no module behind that the script did not load; running
# code is what it is for)

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType, TracebackType

MODULE = "-m"
_LONGEST = 200_000


def main(arguments: list[str]) -> None:
    """Run a script or module.

    Args:
        arguments: the report to write when it raises, the root of the working copy, the script's full path or ``-m``,
            the script as it was given or the module's name, and its arguments.
    """
    report, root, path, name, *rest = arguments
    sys.argv[:] = [name, *rest]
    owner = os.getpid()
    try:
        if path == MODULE:
            _run_module(name, root)
        else:
            _run_script(path, root)
    except SystemExit as error:
        if os.getpid() == owner and isinstance(error.code, str):
            _write(report, {"exit": error.code[:_LONGEST]})
        raise
    except BaseException as error:
        # A process that the script forked comes through here too; only the script itself has a report.
        if os.getpid() == owner:
            _report(report, error)
        _hide_own_frames()
        raise


def _run_script(path: str, root: str) -> None:
    from importlib.machinery import SourceFileLoader
    from io import open_code

    folder = os.path.dirname(path)
    _set_path([folder] if folder == root else [folder, root])
    main_module = _fresh_main()
    main_module.__file__ = path
    main_module.__dict__["__cached__"] = None
    main_module.__loader__ = SourceFileLoader("__main__", path)
    with open_code(path) as file:
        source = file.read()
    # Future statements of this file must not leak into the script.
    exec(compile(source, path, "exec", dont_inherit=True), main_module.__dict__)


def _run_module(name: str, root: str) -> None:
    import importlib.util

    _set_path([root])
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name = f"{name}.__main__"
        spec = importlib.util.find_spec(name)
    code = getattr(spec.loader, "get_code", lambda _: None)(name) if spec is not None else None
    if spec is None or code is None:
        sys.exit(f"{sys.executable}: No module named {name}")
    main_module = _fresh_main()
    main_module.__file__ = spec.origin
    main_module.__dict__["__cached__"] = spec.cached
    main_module.__loader__ = spec.loader
    main_module.__package__ = spec.parent
    main_module.__spec__ = spec
    sys.argv[0] = spec.origin or name
    exec(code, main_module.__dict__)


def _set_path(folders: list[str]) -> None:
    if sys.flags.safe_path:
        return  # the user asked Python to add no folder
    sys.path[0:1] = folders  # the interpreter put this file's folder there


def _fresh_main() -> ModuleType:
    import builtins

    module = type(sys)("__main__")
    module.__dict__["__builtins__"] = builtins
    if sys.version_info < (3, 14):
        module.__annotations__ = {}
    sys.modules["__main__"] = module
    return module


def _own(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from where the script begins."""
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _hide_own_frames() -> None:
    show = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if trace is error.__traceback__:
            trace = _own(trace)
            error.__traceback__ = sys.last_traceback = trace
            if hasattr(sys, "last_exc"):
                setattr(sys, "last_exc", error)  # noqa: B010 (newer than the oldest Python that types are checked for)
        sys.excepthook = show
        show(kind, error, trace)

    sys.excepthook = hook


def _report(path: str, error: BaseException) -> None:
    import traceback

    try:
        text = "".join(traceback.format_exception(type(error), error, _own(error.__traceback__)))
        line = "".join(traceback.format_exception_only(type(error), error)).strip().splitlines()[-1]
    except Exception:  # noqa: BLE001 (the script's own exception may fail to show itself)
        text, line = f"{type(error).__name__}\n", type(error).__name__
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n[... {len(text) - _LONGEST:,} characters left out ...]\n{text[-half:]}"
    _write(path, {"traceback": text, "reason": line[:1000], "interrupted": isinstance(error, KeyboardInterrupt)})


def _write(path: str, content: dict[str, object]) -> None:
    import json

    try:
        with open(path, "w", encoding="utf-8", errors="surrogatepass") as file:
            json.dump(content, file)
    except OSError:
        pass  # the disk may be full; the script's own error is what counts


if __name__ == "__main__":
    main(sys.argv[1:])
