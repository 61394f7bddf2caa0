"""Runs moto's server with one request at a time: ``python moto_application.py HOST PORT``.

Its own server has a thread for each connection, and looks whether a key is there before it stores it, so two
conditional puts at one moment could both win. Requests are read before their turn comes: a slow client holds up nobody.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def one_at_a_time(application: WSGIApplication) -> WSGIApplication:
    """Return an application that hands requests to another one after the other."""
    turn = threading.Lock()

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH")
        if length:
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        with turn:
            return list(application(environ, start_response))

    return serve


if __name__ == "__main__":
    run_simple(
        sys.argv[1],
        int(sys.argv[2]),
        one_at_a_time(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
