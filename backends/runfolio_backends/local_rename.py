"""A rename that refuses to replace anything, for file systems without hard links. Python has no call for it."""

# This room is system calls: os is what they are called, and pathlib would cost more than some of them.
from __future__ import annotations

import errno
import os
import sys
from typing import Final

_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1  # linux/fs.h
_RENAME_EXCL: Final = 4  # macOS, sys/stdio.h
_UNABLE: Final = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, getattr(errno, "ENOTSUP", errno.EOPNOTSUPP), errno.EPERM}
)


def rename_exclusively(source: str, target: str) -> bool:
    """Rename a file unless the target exists; False where the system or the file system cannot do it.

    Raises:
        FileExistsError: the target exists.
        OSError: the rename failed for another reason.
    """
    import ctypes  # noqa: PLC0415 (needed on few file systems, and loads slowly)

    old, new = os.fsencode(source), os.fsencode(target)
    calls: dict[str, tuple[str, tuple[object, ...]]] = {
        "linux": ("renameat2", (_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE)),
        "darwin": ("renamex_np", (old, new, _RENAME_EXCL)),
    }
    call = calls.get(sys.platform)
    if call is None:
        return False
    name, arguments = call
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return False  # a C library without the call
    if not function(*arguments):
        return True
    code = ctypes.get_errno()
    if code in _UNABLE:
        return False
    raise OSError(code, os.strerror(code), target)
