"""Lets scripts written for Azure ML Workbench run unmodified: `azureml.logging` and what they expect around it.

The package ``azureml`` itself is in the folder `shim_folder`, so that installing Runfolio puts no top-level
``azureml`` into an environment. ``runfolio run`` adds the folder to the module path of the script; for plain
``python`` there is the small distribution ``runfolio-azureml``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from runfolio.hookspecs import hookimpl

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

SHIM: Final = "shim"


def shim_folder() -> Path:
    """Return the folder to put on a script's module path, so that ``import azureml.logging`` finds Runfolio."""
    return Path(__file__).parent / SHIM


@hookimpl
def runfolio_load_ipython(shell: object) -> None:
    """Add ``%azureml history`` and ``%azureml upload`` to a notebook."""
    # Not at the top: plugins are loaded with every history, also where IPython is not installed.
    from runfolio_plugins.azureml_compat.magics import AzuremlMagics  # noqa: PLC0415 (see above)

    found = cast("InteractiveShell", shell)
    found.register_magics(AzuremlMagics(found))
