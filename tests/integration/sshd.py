"""OpenSSH's server on the loopback: each stands for a host, with a home and a lock of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.other_cpus import behind_closed_doors, opening

#: It has to be started by its whole path, and is often in no ordinary user's.
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "no sshd: apt-get install openssh-server (.ci/run does)"
KEYGEN = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f")


@dataclass(frozen=True)
class StandIn:
    """A host: its name in the client's configuration, its home, and its server's process."""

    name: str
    home: Path
    pid: int

    @property
    def kept(self) -> Path:
        """What rtfbench has there."""
        return self.home / ".cache" / "rtfbench" / "hosts"

    def cut(self) -> int:
        """Cut all connections that there are; return how many."""
        cut = 0
        for each in psutil.Process(self.pid).children():
            with suppress(psutil.NoSuchProcess):
                each.kill()
                cut += 1
        return cut

    def running(self) -> list[psutil.Process]:
        """Return the processes that the host's home is the home of, but servers."""
        found = []
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.environ().get("HOME") == str(self.home) and each.name() != "sshd":
                    found.append(each)
        return found


#: Runs a server that sees a small disk, which goes with it.
ON_A_DISK = (
    *("unshare", "--mount", "sh", "-ec"),
    'mount -t tmpfs -o size="$0" none "$1"; mkdir "$1/tmp"; shift; exec "$@"',
)
GUEST, GUEST_ID = "guest-of-tests", 60123


@contextmanager
def served(
    folder: Path, *names: str, guest: bool = False, disk: str = ""
) -> Iterator[list[StandIn]]:
    """Start a server a host; `ssh` in `folder/bin` knows them by name.

    With a guest, which root alone can have, there is a second user, whose home is the host's. With
    the size of a disk, as in 8m, the home is on one that is as small.
    """
    assert SSHD is not None
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it asks for it where root starts it
    subprocess.run([*KEYGEN, folder / "key"], check=True)
    subprocess.run([*KEYGEN, folder / "host"], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized")
    known = folder / "known_hosts"
    public = (folder / "host.pub").read_text()
    lines, hosts, servers = [f"UserKnownHostsFile {known}\nIdentityFile {folder / 'key'}\n"], [], []
    lines.append("IdentitiesOnly yes\n")
    try:
        for name in names:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            home = folder / name
            (home / "tmp").mkdir(parents=True)
            config = folder / f"{name}.conf"
            config.write_text(
                f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
                f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\n"
                "PidFile none\nPermitRootLogin yes\nMaxStartups 100\n"
                f"SetEnv HOME={home} TMPDIR={home / 'tmp'}\n"
            )
            command: list[str | Path] = [SSHD, "-D", "-e", "-f", config]
            if guest:
                users = folder / "passwd"
                line = f"{GUEST}:x:{GUEST_ID}:{GUEST_ID}::{home}:/bin/sh\n"
                users.write_text(Path("/etc/passwd").read_text() + line)
                for path in (home, home / "tmp"):
                    os.chown(path, GUEST_ID, GUEST_ID)
                command = [*with_users(users), *command]
            if disk:
                command = [*ON_A_DISK, disk, home, *command]
            with (folder / f"{name}.log").open("wb") as log:
                server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
            servers.append(server)
            with known.open("a") as file:
                file.write(f"[127.0.0.1]:{port} {public}")
            lines.append(f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n")
            hosts.append(StandIn(name, home, server.pid))
            _wait_for(port, server)
        (folder / "config").write_text("".join(lines))
        program = folder / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder / "config"} "$@"\n')
        program.chmod(0o755)
        yield hosts
    finally:
        for server in servers:
            server.kill()
            server.wait()


def with_users(users: Path) -> list[str | Path]:
    """Return the beginning of a command that sees other users, who may run this Python."""
    closed = behind_closed_doors(Path(each).resolve() for each in (sys.prefix, sys.base_prefix))
    lines = ['mount --bind "$0" /etc/passwd', *opening(closed)]
    return ["unshare", "--mount", "sh", "-ec", "\n".join(lines), users]


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while True:
        assert server.poll() is None, "sshd does not start"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        assert time.monotonic() < deadline
        time.sleep(0.05)
