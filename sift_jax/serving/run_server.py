"""From checkpoints to a server that listens, and its end.

SIGTERM, Ctrl-C   nothing more is taken; what runs may finish within `drain_seconds`, and is told
                  503 then; status 0. A second signal ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn

from sift_jax.decoding.speech_answers import move_codec
from sift_jax.pretrained import Model
from sift_jax.serving.access import KEYS, read_keys
from sift_jax.serving.app import Application
from sift_jax.serving.limits import Limits
from sift_jax.serving.metrics import Metrics
from sift_jax.serving.service import Service
from sift_jax.serving.spoken_replies import Voice
from sift_jax.shipped.places import NOTE, SMALL, is_small

# behind the last answer, for it to be sent
_LAST_SECONDS = 5
# as a browser on this machine calls it
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listening:
    """Where, under which other names, and how long what runs may go on once the server is told to
    stop."""

    host: str
    port: int
    drain_seconds: float
    allowed_hosts: tuple[str, ...] = ()


def name_models(folders: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that were given, or else the last two parts of each folder.

    runs/quickstart/export ─► quickstart/export
    small                  ─► small
    """
    if names and len(names) != len(folders):
        raise ValueError(
            f"{len(names)} names for {len(folders)} checkpoints; give one for each, or none"
        )
    found = list(names) or [
        SMALL if is_small(folder) else "/".join(Path(folder).resolve().parts[-2:])
        for folder in folders
    ]
    if len(set(found)) < len(found):
        raise ValueError(f"two checkpoints are called alike ({', '.join(found)}); give --name")
    return found


def list_hosts(host: str, allowed: Sequence[str]) -> frozenset[str] | None:
    """The names under which a server at this address may be asked; None: under any, where others
    reach it and no name was given."""
    if not allowed and not is_local(host):
        return None
    return LOCAL_HOSTS | {host.lower(), *(name.lower() for name in allowed)}


def make_application(
    models: dict[str, Model],
    limits: Limits,
    *,
    codec: str | None = None,
    seed: int = 0,
    hosts: frozenset[str] | None = LOCAL_HOSTS,
) -> Application:
    """Models by name, with what is needed to answer."""
    models = {name: move_codec(model, codec) for name, model in models.items()}
    metrics = Metrics()
    services = [Service(name, model, limits, metrics, seed=seed) for name, model in models.items()]
    voices = {
        name: Voice.open(model, codec)
        for name, model in models.items()
        if model.codec is not None and is_codec_there(model, codec)
    }
    return Application(services, limits, metrics, keys=read_keys(), voices=voices, hosts=hosts)


def is_codec_there(model: Model, folder: str | None) -> bool:
    """Whether a model that speaks can be heard; one whose codec has moved answers in text alone."""
    where = folder or (model.codec.folder if model.codec else "")
    if folder is None and not Path(where).is_dir():
        tell(f"the codec is not at {where}, so nothing is spoken; give its folder by --codec")
        return False
    return True


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Server(uvicorn.Server):
    """Signals are ours: uvicorn would raise them again at its end, as if nothing had been
    finished."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def open_socket(host: str, port: int) -> socket.socket:
    """Bound, so that a port that is taken is told before a model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ValueError(
            f"{host}:{port} cannot be listened at ({error.strerror}); choose another --port"
        ) from None
    return bound


class Serving:
    """An application at a socket, from the first request to the last answer."""

    def __init__(self, application: Application, listening: Listening):
        self._application, self._drain_seconds = application, listening.drain_seconds
        self._server = _Server(
            uvicorn.Config(
                application.make(),
                lifespan="off",
                ws="none",
                http="h11",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(listening.drain_seconds) + _LAST_SECONDS,
            )
        )

    async def run(self, bound: socket.socket) -> None:
        """Until `stop` is called, and what runs is answered."""
        await self._server.serve(sockets=[bound])

    async def run_until_signal(self, bound: socket.socket) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        await self.run(bound)

    def stop(self) -> None:
        """In the event loop; the second time at once."""
        loop, application = asyncio.get_running_loop(), self._application
        if self._server.should_exit:
            self._server.force_exit = True
            loop.run_in_executor(None, application.stop)
            return
        tell(
            f"stopping: {application.gate.inside} requests have {self._drain_seconds:g} s to "
            "finish; once more to end at once"
        )
        application.stop_taking()
        self._server.should_exit = True
        # the engines tell whoever is left; in a thread, since they end their turns first
        loop.call_later(self._drain_seconds, loop.run_in_executor, None, application.stop)


def run(
    folders: Sequence[str],
    names: Sequence[str],
    limits: Limits,
    listening: Listening,
    *,
    codec: str | None,
    seed: int,
    is_warm: bool,
) -> None:
    """Loads, compiles, listens; returns once the server has been stopped."""
    names = name_models(folders, names)
    keys = read_keys()
    if not keys and not is_local(listening.host):
        tell(f"note: anybody who reaches {listening.host} may ask; set ${KEYS} to keys")
    if any(map(is_small, folders)):
        tell(f"note: {NOTE}")
    bound = open_socket(listening.host, listening.port)
    with contextlib.closing(bound):
        models = {name: Model.load(folder) for name, folder in zip(names, folders, strict=True)}
        hosts = list_hosts(listening.host, listening.allowed_hosts)
        application = make_application(models, limits, codec=codec, seed=seed, hosts=hosts)
        try:
            for service in application.services.values():
                if is_warm:
                    tell(f"{service.name}: compiling")
                service.start(is_warm=is_warm)
            # whoever reads the line below may connect at once
            bound.listen()
            host, port = bound.getsockname()[:2]
            print(
                f"serving {', '.join(names)} at http://{f'[{host}]' if ':' in host else host}:"
                f"{port}/v1",
                flush=True,
            )
            asyncio.run(Serving(application, listening).run_until_signal(bound))
        finally:
            application.stop()


def is_local(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
