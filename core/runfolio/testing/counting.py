"""A backend that keeps a list of the requests made through it, as a bill would count them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from runfolio.store.counting import PAGE, CountedBackend, Request

if TYPE_CHECKING:
    from runfolio.backend import Backend

__all__ = ["PAGE", "CountingBackend", "Request"]


@final
class CountingBackend(CountedBackend):
    """Counts what passes through to another backend. `requests` lists it in order.

    Args:
        inner: the backend that does the work.
    """

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.requests: list[Request] = []

    def __reduce__(self) -> tuple[type[CountingBackend], tuple[Backend]]:
        return CountingBackend, (self.inner,)  # a copy begins to count anew

    def reset(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self.requests.clear()
            self._counts.clear()

    def __len__(self) -> int:
        return len(self.requests)

    def __bool__(self) -> bool:
        return True  # an unused one is still a backend

    def written(self) -> int:
        """Return the number of bytes put and created."""
        with self._lock:
            return sum(one.size for one in self.requests if one.operation in ("put", "create") and not one.failed)

    def observe(self, request: Request) -> None:
        """Count a request, and keep it."""
        super().observe(request)
        self.requests.append(request)
