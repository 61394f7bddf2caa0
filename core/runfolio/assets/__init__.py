"""Assets for code that only wants the file: ``runfolio.assets.local_path("iris")``.

Everything else that can be done with assets is done by `runfolio.history.History.assets`: ``versions`` has it,
``promoting`` makes them of files of runs, ``links`` writes and reads the files in projects that point at them, and
``cache`` keeps copies here.
"""

from __future__ import annotations

from pathlib import Path


def local_path(word: str | Path, *, store: str | None = None) -> Path:
    """Return where an asset lies on this machine. It is fetched into the user's cache once, and verified at each call.

    Args:
        word: ``NAME`` (the newest version), ``NAME@3``, ``NAME@ALIAS``, or the path of a link such as
            ``assets/NAME.link``.
        store: a URL, a path or the name of a configured store; by default as configured.

    Returns:
        The file, or the folder, under the name that it had in its run. Do not change it: others may use it, too.

    Raises:
        AssetNotFoundError: there is no such asset, version or alias, or it was taken back.
        NotFoundError: there is no such link.
        FormatError: the link is damaged.
        StorageError: it cannot be fetched.
    """
    from runfolio import open_history  # noqa: PLC0415 (loaded on use)

    with open_history(store, read_only=True) as history:
        return history.assets.local_path(word)
