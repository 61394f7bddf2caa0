"""`get_local_path` of Azure ML Workbench, for links that `runfolio promote` writes."""

from runfolio_plugins.azureml_compat.linked_assets import get_local_path
from runfolio_plugins.azureml_compat.script_namespace import lend_sys_and_os

__all__ = ["get_local_path"]

lend_sys_and_os()
