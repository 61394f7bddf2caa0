"""`get_azureml_logger` of Azure ML Workbench, writing to the current run of Runfolio."""

from runfolio_plugins.azureml_compat.script_namespace import lend_sys_and_os
from runfolio_plugins.azureml_compat.workbench_logger import ScriptRunRequest, get_azureml_logger

__all__ = ["ScriptRunRequest", "get_azureml_logger"]

lend_sys_and_os()
