"""The issuer's keys, over http and https, for the targets that fetch them."""
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .tokens import Material

JWKS_PATH = "/.well-known/jwks.json"


@contextmanager
def serving_keys(material: Material, http_port: int, https_port: int) -> Iterator[None]:
    plain, secure = (_server(material.jwks, port) for port in (http_port, https_port))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(material.file("issuer.crt"), material.file("issuer.key"))
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    for server in (plain, secure):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        for server in (plain, secure):
            server.shutdown()
            server.server_close()


def _server(document: bytes, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            found = document if self.path.split("?")[0] == JWKS_PATH else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    return server
