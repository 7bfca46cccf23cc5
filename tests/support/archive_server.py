"""A web server on localhost that gives files by range, and does what is wrong with some networks.

    GET /resources/31/dev-clean-2.tar.gz      200, or 206 behind a Range whose If-Range is its ETag

`cut` ends an answer after so many bytes, once for each number; `refuse` gives these statuses first.
"""

import contextlib
import http.server
import threading
from collections.abc import Iterator


class Archives:
    """The files by path; what was asked of each, with its Range."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.cut: list[int] = []
        self.refuse: list[int] = []
        self.url = ""

    def put(self, path: str, data: bytes, tag: str = '"one"') -> None:
        self.files[path], self.tags[path] = data, tag


@contextlib.contextmanager
def serve_archives() -> Iterator[Archives]:
    """Until the block ends."""
    archives = Archives()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(has_body=False)

        def do_GET(self) -> None:
            self._answer(has_body=True)

        def _answer(self, *, has_body: bool) -> None:
            span = self.headers.get("Range")
            archives.asked.append((self.command, self.path, span))
            if has_body and archives.refuse:
                return self._end(archives.refuse.pop(0), {}, b"")
            if self.path not in archives.files:
                return self._end(404, {}, b"")
            data, tag = archives.files[self.path], archives.tags[self.path]
            headers = {"ETag": tag} if tag else {}
            first = int(span.removeprefix("bytes=").removesuffix("-")) if span else 0
            if span and self.headers.get("If-Range") == tag:
                if first >= len(data):
                    return self._end(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
                return self._end(206, headers, data[first:])
            return self._end(200, headers, data, has_body=has_body)

        def _end(self, status: int, headers: dict, data: bytes, has_body: bool = True) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if not has_body:
                return
            if archives.cut and data:
                self.wfile.write(data[: archives.cut.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Tests are silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archives.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield archives
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
