"""SIP datagrams of one node: a drain loop, several times faster than a DatagramProtocol (design 11)."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from functools import lru_cache

from cluster_core.inputs import Datagram
from cluster_core.outputs import SendDatagram
from refserver.pump import Host

DRAIN = 64
BUFFER_BYTES = 4 * 1_048_576
MAX_DATAGRAM = 65_536


@lru_cache(maxsize=4_096)
def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that nobody else can bind as well; OSError if the address is taken or not ours."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class Udp:
    """The datagram listeners of a node, by name."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.dropped = 0
        self._sockets: dict[str, socket.socket] = {}
        host.performers[SendDatagram] = self.send

    def listen(self, listener: str, sock: socket.socket) -> None:
        """Receive on a bound socket."""
        self._sockets[listener] = sock
        self.host.loop.add_reader(sock.fileno(), self._readable, listener, sock)

    def send(self, output: SendDatagram) -> None:
        """Send a datagram; one that the system does not take is lost, as datagrams may be."""
        sock = self._sockets.get(output.listener)
        if sock is None:
            return
        try:
            if not _is_literal(output.destination[0]):  # a name would be looked up, and the loop would wait for it
                raise OSError("not an address")
            sock.sendto(output.data, output.destination)
        except (OSError, OverflowError):
            self.dropped += 1
            self.host.count_fault("datagram not sent")

    def end(self) -> None:
        """Close the sockets."""
        for sock in self._sockets.values():
            self.host.loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()

    def _readable(self, listener: str, sock: socket.socket) -> None:
        feed, recvfrom = self.host.feed, sock.recvfrom
        for _ in range(DRAIN):
            try:
                data, source = recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # a refusal of something sent before; the next datagram may be good
            feed(Datagram(listener, (source[0], source[1]), data))
            if sock.fileno() < 0:
                return
