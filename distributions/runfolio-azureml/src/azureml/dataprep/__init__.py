"""Data preparation of Azure ML Workbench: tables that were exported from it."""
