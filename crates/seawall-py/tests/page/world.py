"""What the page speaks of and does not show: a service on a real local server, clients, a log."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HTTPError(Exception):
    """The status of a response that is none of success."""


class Response:
    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def raise_for_status(self) -> None:
        if self.status >= 400:
            raise HTTPError(self.status)

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Answers with the statuses that are planned for a path, then with 200, or fails for good."""

    def __init__(self) -> None:
        self.plan: dict[str, deque[int]] = defaultdict(deque)
        self.down: set[str] = set()
        self.asked: dict[str, int] = defaultdict(int)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked[self.path] += 1
                plan = server.plan[self.path]
                status = 503 if self.path in server.down else plan.popleft() if plan else 200
                body = json.dumps({"path": self.path}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def get(self, path: str) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return Response(answer.status, answer.read())
        finally:
            connection.close()

    async def get_async(self, path: str) -> Response:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            await writer.drain()
            head, body = (await reader.read()).split(b"\r\n\r\n", 1)
            return Response(int(head.split()[1]), body)
        finally:
            writer.close()
            await writer.wait_closed()


class Logger:
    """A structured log, as the page's is."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def take(self) -> list[tuple[str, str, dict[str, Any]]]:
        lines, self.lines = self.lines, []
        return lines


class Service:
    """A service with one address for each of its methods."""

    def __init__(self, server: Server, name: str, is_async: bool) -> None:
        self._server = server
        self._name = name
        self._is_async = is_async

    def __getattr__(self, method: str) -> Any:
        path = f"/{self._name}/{method}"

        def call(*args: Any) -> Any:
            response = self._server.get(path)
            response.raise_for_status()
            return response.json()

        async def call_async(*args: Any) -> Any:
            response = await self._server.get_async(path)
            response.raise_for_status()
            return response.json()

        return call_async if self._is_async else call


class HttpClient:
    def __init__(self, server: Server, is_async: bool) -> None:
        self.get = server.get_async if is_async else server.get
