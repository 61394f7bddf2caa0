"""The store protocol: one module an actor, in the steps of ``docs/design/002-store-protocol.md``.

Nothing here starts threads or reads clocks by itself: `runfolio.store.environment.Environment` brings both, so that
tests can interleave and kill the real code between any two requests.
"""
