"""The local journal: what `log` wrote outlives the process that wrote it.

``frames`` and ``scan`` are the file format, ``writer`` the hot path, ``reader`` the way back to rows, ``spool`` the
folder that holds the journals of this machine, and ``spooled_run`` what the store protocol sees of one journal.
Nothing is imported here, so that `runfolio` stays light.
"""
