"""`run` of Azure ML Workbench's data preparation, reading tables that were exported from it."""

from runfolio_plugins.azureml_compat.data_prep import run

__all__ = ["run"]
