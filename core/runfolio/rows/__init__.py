"""Journal rows to Arrow to Parquet, summaries of metrics, and the way back to Python values.

Importing this package loads nothing; its modules load pyarrow.
"""
