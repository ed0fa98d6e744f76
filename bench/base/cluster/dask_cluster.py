"""A Dask cluster that is there already, or that is started here, and what runs tasks on it.

Settings are made for this client, or for the cluster that it starts on this machine; nobody else's
are touched.
"""

import logging
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

from rtfbench.base.cluster.driver import Answered, ClusterError, Died, Event, Raised
from rtfbench.base.errors import InputError
from rtfbench.base.scratch import process_folder

try:
    import dask
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from distributed import Client, Future, Nanny, Scheduler, SpecCluster, Worker, get_worker
    from distributed.comm.addressing import resolve_address
    from distributed.comm.core import CommClosedError
    from distributed.core import Status
    from distributed.scheduler import KilledWorker
    from distributed.security import Security
    from distributed.versions import VersionMismatchWarning
except ImportError as error:
    raise InputError(
        f"--cluster needs Dask, and {error.name} is not installed; install it with: "
        "pip install 'rtfbench[cluster]'"
    ) from None

#: Of the names of our tasks; the client's id follows.
PREFIX = "rtfbench-"
TASK = Callable[[dict[str, Any]], Any]


def _named(task: TASK, job: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Run a task on a worker; return the worker's name with the answer."""
    name: str = get_worker().address
    try:
        return name, task(job)
    except Exception as error:  # one not foreseen: another worker may do better
        traceback.print_exc()
        return name, {"kind": "failed", "reason": told(error)}


class DaskExecutor:
    """Runs one function on the workers of a cluster."""

    def __init__(self, client: Client, task: TASK, mend: Callable[[], None]) -> None:
        self._client, self._task, self._mend = client, task, mend
        self._futures: dict[str, tuple[str, Future[Any]]] = {}
        self._ended: SimpleQueue[str] = SimpleQueue()
        self._numbers = count(1)

    def workers(self) -> Mapping[str, int]:
        """Return the workers by address, each with its number of threads.

        Raises:
            ClusterError: the scheduler is gone.
        """
        self._mend()
        try:
            found: dict[str, int] = self._client.nthreads()
        except Exception as error:
            raise gone(error) from error
        return found

    def submit(
        self,
        key: str,
        job: dict[str, Any],
        *,
        avoid: Collection[str] = (),
        only: Collection[str] = (),
    ) -> None:
        """As in the protocol; where workers are named, only on one of these.

        Raises:
            ClusterError: the scheduler is gone.
        """
        workers = list(only)
        if avoid:
            workers = [name for name in self.workers() if name not in avoid]
        name = f"{PREFIX}{self._client.id}-{next(self._numbers)}"
        try:
            future = self._client.submit(
                _named,
                self._task,
                job,
                key=name,
                pure=False,
                workers=workers or None,
                # If all of these are lost, an unbound task is better elsewhere than nowhere.
                allow_other_workers=bool(workers) and not only,
            )
        except Exception as error:
            raise gone(error) from error
        self._futures[name] = (key, future)
        future.add_done_callback(lambda _: self._ended.put(name))

    def next_event(self, timeout_s: float) -> Event | None:
        """As in the protocol."""
        try:
            name = self._ended.get(timeout=timeout_s)
        except Empty:
            return None
        if name not in self._futures:
            return None  # forgotten
        key, future = self._futures.pop(name)
        try:
            worker, answer = future.result()
        except KilledWorker as killed:
            return Died(key, killed.allowed_failures + 1)
        except Exception as error:
            if future.cancelled() or self._client.status != "running":
                raise gone(error) from error
            return Raised(key, told(error))
        return Answered(key, worker, answer)

    def forget(self, key: str) -> None:
        """Cancel a task; no event tells of it."""
        for name, (own, future) in list(self._futures.items()):
            if own == key:
                del self._futures[name]
                future.cancel()

    def clock_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()


def gone(error: BaseException) -> ClusterError:
    """Return the error of a scheduler that does not answer."""
    return ClusterError(f"the scheduler is gone ({type(error).__name__})")


def told(error: BaseException) -> str:
    """Return an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


LOCAL = "local"
#: Where the cluster of this machine listens: nobody else can reach it.
LOOPBACK = "127.0.0.1"
CONNECT_S = 10
LOGGERS = ("distributed", "tornado")

#: Of a cluster on this machine. Memory is no worker's business: sessions are processes of their
#: own, and the kernel looks after them.
SETTINGS: dict[str, object] = {
    # It goes by the clock on the wall, which may be set; a worker's death is told at once.
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}


class _NoWebPages:
    """A part of a cluster without pages: Dask has them at a port of their own, for everybody."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Open no port."""


class PortlessScheduler(_NoWebPages, Scheduler):
    """A scheduler that listens at its encrypted port alone."""


class PortlessWorker(_NoWebPages, Worker):
    """A worker that does."""


@contextmanager
def connected(address: str, *, workers: int) -> Iterator["Cluster"]:
    """Yield a cluster, which has a worker at least.

    Args:
        address: of the scheduler, or `local` for a cluster of this machine that ends with the
            block.
        workers: how many that one has.

    Raises:
        InputError: there is nobody at the address, or it has no worker.
    """
    if address == LOCAL:
        with _local(workers) as cluster:
            yield cluster
        return
    if "://" not in address:
        raise InputError(
            f"--cluster {address}: name the scheduler, as in tcp://HOST:8786, or local"
        )
    with _quiet():
        secure = address.startswith(("tls://", "wss://"))
        if secure and Security().get_connection_args("client")["ssl_context"] is None:
            raise InputError(
                f"--cluster {address}: needs certificates; name them in Dask's configuration, "
                "distributed.comm.tls"
            )
        try:
            resolve_address(address)  # a client of no address tells of its end on its own
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"--cluster {address}: no scheduler answers there ({told(error)}); start one with "
                "`dask scheduler`, and workers with `dask worker`"
            ) from error
        with client:
            if not client.nthreads():
                raise InputError(
                    f"--cluster {address}: has no worker; start some with: dask worker {address} "
                    "--nthreads 1"
                )
            yield Cluster(client)


@contextmanager
def _local(workers: int) -> Iterator["Cluster"]:
    """Start a cluster of this machine, encrypted: other users may reach the loopback too."""
    with TemporaryDirectory(dir=process_folder()) as folder, dask.config.set(SETTINGS), _quiet():
        security = own_security()
        common = {"host": LOOPBACK, "security": security, "protocol": "tls://"}
        worker = {
            "cls": Nanny,
            "options": {
                **common,
                "worker_class": PortlessWorker,
                "nthreads": 1,
                "memory_limit": 0,
                "dashboard": False,
                "local_directory": folder,
                "silence_logs": logging.CRITICAL,
            },
        }
        # A worker's death is told at once: what is done about it is the driver's business.
        scheduler = {
            "cls": PortlessScheduler,
            "options": {**common, "port": 0, "dashboard": False, "allowed_failures": 0},
        }
        with (
            SpecCluster(
                workers=dict.fromkeys(range(workers), worker),
                scheduler=scheduler,
                security=security,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            client.wait_for_workers(workers, timeout=60)
            yield Cluster(client, lambda: _mend(cluster, workers))


def own_security() -> Security:
    """Return a key of our own and its certificate, valid whatever the clock on the wall says.

    Dask's own begins to be valid when it is made: once the clock was set back, no worker could
    connect any more.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rtfbench")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 2, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    cert_pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    parts = ("client", "scheduler", "worker")
    return Security(
        require_encryption=True,
        tls_ca_file=cert_pem,
        **{f"tls_{part}_key": key_pem for part in parts},
        **{f"tls_{part}_cert": cert_pem for part in parts},
    )


def _mend(cluster: SpecCluster, workers: int) -> None:
    """Start those anew that are gone for good.

    A nanny starts its worker again, but ends itself when that one dies before it is ready.
    """
    for name, nanny in list(cluster.workers.items()):
        if nanny.status in (Status.closed, Status.failed):
            cluster.workers.pop(name, None)
    if len(cluster.workers) < workers:
        cluster.scale(workers)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own log off standard error: what matters is told in the driver's words."""
    known = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    loud = [each for each in known if each.name.startswith(LOGGERS) and not each.disabled]
    for each in loud:
        each.disabled = True
    try:
        with warnings.catch_warnings():
            # Which versions matter is this package's own check.
            warnings.simplefilter("ignore", VersionMismatchWarning)
            yield
    finally:
        for each in loud:
            each.disabled = False


class Cluster:
    """A cluster that somebody is connected with."""

    def __init__(self, client: Client, mend: Callable[[], None] = lambda: None) -> None:
        """Take up a connection; `mend` is called before the workers are counted."""
        self._client, self._mend = client, mend

    def everywhere(self, task: TASK, job: dict[str, Any]) -> dict[str, Any]:
        """Call a function on every worker at once.

        Returns:
            worker -> what it returned, or as text why it could not be called; one that went away
            meanwhile is none.
        """
        found = self._client.run(task, job, on_error="return")
        return {
            worker: _cure(each) if isinstance(each, BaseException) else each
            for worker, each in found.items()
            if not isinstance(each, CommClosedError)
        }

    def strangers(self) -> Collection[str]:
        """Return the workers that run tasks of others.

        Raises:
            ClusterError: the scheduler is gone.
        """
        own = f"{PREFIX}{self._client.id}-"
        try:
            running: dict[str, list[str]] = self._client.processing()
        except Exception as error:
            raise gone(error) from error
        return [
            worker
            for worker, keys in running.items()
            if any(not str(key).startswith(own) for key in keys)
        ]

    def executor(self, task: TASK) -> DaskExecutor:
        """Return what runs a function on the workers."""
        return DaskExecutor(self._client, task, self._mend)


def _cure(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name in ("rtfbench", "distributed"):
        want = f"rtfbench[cluster]=={version('rtfbench')}"
        return f"rtfbench is not installed there; install it with: pip install '{want}'"
    return told(error)
