"""SQL over the history: DuckDB on tables in memory, and on nothing else.

A statement is taken apart by DuckDB's own parser first (`statement`): one SELECT over our tables. Only the tables that
it names are read from the store (`contents`). It then runs in a database without access to files, network, extensions
and Python variables, whose configuration is locked (`running`).
"""
