"""Single HTTP/1.1 requests, and many idle connections."""
import re
import resource
import select
import socket
import ssl
import struct
from dataclasses import dataclass, field

from .names import PATH, PROTECTED_HOST

_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: a reset, so that no TIME_WAIT is left behind
SPARE_FILES = 1_000  # file descriptors left to the target for its upstream, its listeners and the load


@dataclass(frozen=True)
class Answer:
    """`status` is 0 when nothing readable came."""

    status: int
    body: bytes


def ask(
    port: int,
    token: str | None = None,
    path: str = PATH,
    host: str = PROTECTED_HOST,
    body: bytes | None = None,
    tls: bool = False,
) -> Answer:
    """One request on a connection of its own. With a body it is a POST."""
    with _connect(port, host, tls) as connection:
        connection.settimeout(10)
        connection.sendall(_request(token, path, host, body, "close"))
        return _read_answer(connection)


def _connect(port: int, host: str, tls: bool) -> socket.socket:
    """Over TLS any certificate will do: it is this run's own."""
    connection = socket.create_connection(("127.0.0.1", port), 3)
    if not tls:
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=host)


@dataclass
class IdleConnections:
    """Connections that each had one answered request and stay open. Closes them on exit."""

    port: int
    token: str
    open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> "IdleConnections":
        return self

    def __exit__(self, *_) -> None:
        for connection in self.open:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT_ON_CLOSE)
            connection.close()

    def add(self, count: int) -> None:
        request = _request(self.token, PATH, PROTECTED_HOST, None, "keep-alive")
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", self.port), 5)
            self.open.append(connection)
            connection.sendall(request)
            answer = _read_answer(connection)
            if answer.status != 200:
                raise ConnectionError(f"idle connection {len(self.open)} got {answer.status}")

    def closed_by_peer(self) -> int:
        """How many the target has ended in the meantime."""
        poll = select.poll()
        for connection in self.open:
            poll.register(connection, select.POLLIN | select.POLLHUP)
        return len(poll.poll(0))


def most_idle_connections(wanted: int) -> int:
    """`wanted`, or what the limit on open files leaves; raises this process's own limit as far as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - SPARE_FILES)


def _request(token: str | None, path: str, host: str, body: bytes | None, connection: str) -> bytes:
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {host}", f"Connection: {connection}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def _read_answer(connection: socket.socket) -> Answer:
    """Up to `Content-Length`, or the end."""
    data = bytearray()
    wanted = None
    while wanted is None or len(data) < wanted:
        try:
            part = connection.recv(1 << 16)
        except (TimeoutError, ConnectionResetError):
            break
        if not part:
            break
        data += part
        wanted = wanted or _whole_length(data)
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    return Answer(int(status.group(1)) if status else 0, body)


def _whole_length(data: bytearray) -> int | None:
    """Bytes of head and body together, once the head is there and says it."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", data[:end])
    return end + 4 + int(length.group(1)) if length else None
