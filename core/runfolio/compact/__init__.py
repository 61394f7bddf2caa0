"""Compaction: copies of the rows of ended runs in few large files, for whoever reads many runs at once.

``docs/design/005-compaction.md`` has the order of requests and why it is safe. A cache: the run folders stay complete,
and a reader takes a copy only where it names exactly what lies in the run's folder.
"""
