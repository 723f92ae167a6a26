"""A SOCKS5 proxy without a password (RFC 1928), for CONNECT to names and addresses."""

from __future__ import annotations

import socket
import threading
from typing import Self


class SocksProxy:
    """Relays connections, and notes where they went."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socks5://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client:
            n_methods = client.recv(2)[1]
            client.recv(n_methods)
            client.sendall(b"\x05\x00")
            kind = client.recv(4)[3]
            if kind == 1:
                host = socket.inet_ntoa(client.recv(4))
            else:
                host = client.recv(client.recv(1)[0]).decode()
            port = int.from_bytes(client.recv(2), "big")
            self.asked.append(f"{host}:{port}")
            with socket.create_connection((host, port)) as server:
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
                other = threading.Thread(target=_pump, args=(server, client), daemon=True)
                other.start()
                _pump(client, server)
                other.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while content := source.recv(1 << 16):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
