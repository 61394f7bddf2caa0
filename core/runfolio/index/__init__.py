"""The index: one row a run, in checkpoints and log entries. A cache: the run folders are the truth.

`row` says what a row is and how entries are applied; `shown` what people see of it; `schema`, `encoding` and
`checkpoint` how rows lie in Parquet; `view` reads, `folding` shortens the log, `repairing` rebuilds from the run
folders, `sweeping` removes garbage.
"""
