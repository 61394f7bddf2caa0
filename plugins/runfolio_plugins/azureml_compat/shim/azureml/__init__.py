"""Stands where Azure ML Workbench had its package. Other distributions may add their parts of ``azureml`` to it."""

from pkgutil import extend_path

from runfolio_plugins.azureml_compat.script_namespace import lend_sys_and_os

__path__ = extend_path(__path__, __name__)

lend_sys_and_os()
del extend_path, lend_sys_and_os
