"""A run being written: what happens between a call of the public API and the store protocol.

``starting`` brings a run to life, ``recorder`` is the machinery behind an `ActiveRun`, ``flusher`` its background
thread, ``staging`` keeps copies of files until they are stored, ``redacting`` hides secrets, ``spooled`` sends what
dead processes left.
"""
