"""Starts the server and stops it: the socket, the signals, the log."""

from __future__ import annotations

import errno
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from crosszone import service
from crosszone.errors import PreflightFailed, SpecError
from crosszone.server.access import Access, access
from crosszone.server.app import application
from crosszone.server.log import start_log
from crosszone.server.operations import Operations
from crosszone.server.options import MOST_PORT, ServeOptions
from crosszone.server.pools import pools
from crosszone.server.web_files import WebFiles
from crosszone.server.worker_process import WorkerProcess

if TYPE_CHECKING:
    from crosszone.service.tasks import Store

BACKLOG = 512
"""Connections that wait to be taken."""
STOPPING_SECONDS = 10
"""What requests in flight are given to end."""
KEEP_ALIVE_SECONDS = 15


def serve(options: ServeOptions, on_start: Callable[[str], None]) -> None:
    """Answer until SIGTERM or Ctrl-C; `on_start` is told the address as soon as it answers.

    SpecError where it would be reached by others without token and TLS; PreflightFailed where the port is taken, or the
    database does not answer.
    KeyboardInterrupt after Ctrl-C.
    """
    with _opened_store(options) as store:
        allowed = access(options, has_stored_token=service.has_good_token(store))
        with closing(_listening_socket(options)) as listening, _driving(options):
            _answer(options, allowed, store, listening, on_start)


@contextmanager
def _opened_store(options: ServeOptions) -> Iterator[Store]:
    """What the server keeps; that of a demonstration is gone when it ends."""
    with tempfile.TemporaryDirectory(prefix="crosszone-demo-") if options.is_demo else nullcontext("") as folder:
        store = service.open_store(str(Path(folder) / "state.sqlite") if options.is_demo else options.database)
        with closing(store):
            if options.is_demo:
                service.add_demo(store)
            yield store


def _driving(options: ServeOptions) -> AbstractContextManager[object]:
    """The worker that drives tasks; nobody does in a demonstration, which keeps none."""
    return WorkerProcess(options.database) if options.is_driving and not options.is_demo else nullcontext()


def _answer(
    options: ServeOptions, allowed: Access, store: Store, listening: socket.socket, on_start: Callable[[str], None]
) -> None:
    is_tls = options.tls_certificate is not None
    workers = pools(options.num_workers)
    operations = Operations(workers)
    config = uvicorn.Config(
        application(
            allowed,
            workers,
            operations,
            store=store,
            retention=options.retention,
            is_tls=is_tls,
            is_demo=options.is_demo,
            web=WebFiles(),
        ),
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
        proxy_headers=options.is_behind_proxy,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOPPING_SECONDS,
        ws="none",
        lifespan="on",
    )
    start_log(as_json=options.as_json)
    address = _address(options, listening.getsockname()[1])
    # The web server ends in peace at both signals, and then raises them again for whoever was there before it.
    before = signal.signal(signal.SIGTERM, _ignore)
    try:
        _Server(config, lambda: on_start(address), operations.close).run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)


class _Server(uvicorn.Server):
    """Says when it answers, and when it is about to stop."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_start = on_start
        self.on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets=sockets)
        if self.started:
            self.on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop to answer. Streams of events end first: as long as one is open, the web server waits for it."""
        self.on_stop()
        await super().shutdown(sockets=sockets)


def _listening_socket(options: ServeOptions) -> socket.socket:
    """Bound here, so that a port that is taken is told in our words. PreflightFailed, SpecError."""
    if options.port > MOST_PORT:
        raise SpecError.of(f"there is no port {options.port}.", where="--port", hint=f"Take one up to {MOST_PORT}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            options.host.strip("[]"), options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        message = f'"{options.host}" is no address of this machine: {error.strerror}.'
        raise SpecError.of(message, where="--host", hint="Write 127.0.0.1, or an address of this machine.") from None
    # With the protocol: asyncio turns Nagle's delay off only where it is named; with it each answer takes 40 ms more.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _cannot_listen(options, error) from None
    return listening


def _cannot_listen(options: ServeOptions, error: OSError) -> PreflightFailed:
    place = f"{options.host}, port {options.port}"
    if error.errno == errno.EADDRINUSE:
        hint = f"Stop what listens there, or take another: --port {options.port + 1}, or --port 0 for any free one."
        return PreflightFailed.of(f"{place}: another program listens there.", where="--port", hint=hint, code="taken")
    if error.errno == errno.EACCES:
        hint = "Take a port from 1024 on, and let a proxy listen at lower ones."
        return PreflightFailed.of(f"{place}: this user may not listen there.", where="--port", hint=hint)
    where, hint = "--host", "Write 127.0.0.1, or an address of this machine."
    return PreflightFailed.of(f"cannot listen at {place}: {error.strerror}.", where=where, hint=hint)


def _address(options: ServeOptions, port: int) -> str:
    """Where a person finds it; of a server that listens everywhere, by the name that this machine has for itself."""
    scheme = "http" if options.tls_certificate is None else "https"
    host = socket.gethostname() if options.is_everywhere else options.host.strip("[]")
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{port}"


def _ignore(number: int, frame: Any) -> None:
    """Nothing is left to do: the server has stopped."""
