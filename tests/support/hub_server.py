"""A hub on localhost with the routes of huggingface.co, and the store of large files that it sends
one on to.

    GET  /api/models/{id}[/revision/{rev}]      {"id", "sha", …}
    GET  /api/models/{id}/tree/{commit}         its files with their sizes
    GET  /{id}/resolve/{commit}/{file}          a text; of weights, where they are kept
    GET  http://store/{id}/{file}[?signature]   the bytes, from any place on

    POST /api/repos/create                      {"name", "organization", "visibility"}
    POST /api/validate-yaml                     of the card
    POST /api/models/{id}/preupload/{rev}       which files are large
    POST /{id}.git/info/lfs/objects/batch       where these are put
    PUT  http://store/lfs/{sha256}              their bytes
    POST /api/models/{id}/commit/{rev}          lines: header, files, and large files by their hash

Each repository is a dict of its files; FAULTS says what is wrong with some of them.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator, Mapping

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_MODEL = re.compile(
    r"/api/models/(?P<repo>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^?]+))?"
)
_WRITE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/(?P<what>preupload|commit)/main")
_BATCH = re.compile(r"/(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>[^?]+)")

# (status, X-Error-Code) by the owner's name, of what is asked about a repository, and of its files
_OF_MODEL = {
    "nobody": (404, "RepoNotFound"),
    "private": (401, ""),
    "refused": (403, ""),
    "busy": (429, ""),
    "moved": (302, ""),
}
_OF_FILES = {"gated": (403, "GatedRepo"), "gone": (404, "EntryNotFound"), "down": (500, "")}
_SAID = {
    "private": "Invalid username or password.",
    "gated": "Access to it is restricted and you are not in the authorized list.",
}


class Hub:
    """Where to ask; the tokens that came, by server; which bytes of which file were asked for; what
    echoes add."""

    def __init__(self, repos: Mapping[str, Mapping[str, bytes]]):
        self.repos = dict(repos)
        self.url, self.store, self.stranger = "", "", ""
        self.tokens: dict[str, set[str | None]] = {"hub": set(), "store": set(), "stranger": set()}
        self.ranges: dict[str, list[str | None]] = {}
        self.does_echo = False
        # what was made here, as it was asked for; large files that were put, by their hash
        self.made: dict[str, dict] = {}
        self.large: dict[str, bytes] = {}

    def take(self, path: str, body: bytes, token: str | None) -> tuple[int, dict[str, str], bytes]:
        """What the hub says to who writes; nobody but "Bearer hf_writer…" may."""
        if not (token or "").startswith("Bearer hf_writer"):
            return self._fail("refused", 403, "", token)
        path = path.partition("?")[0]
        if path == "/api/validate-yaml":
            return 200, {}, b'{"errors": [], "warnings": []}'
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            is_there = repo in self.repos
            if not is_there:
                self.made[repo], self.repos[repo] = asked, {}
            return 409 if is_there else 200, {}, json.dumps({"url": f"{self.url}/{repo}"}).encode()
        if found := _BATCH.fullmatch(path):
            asked = json.loads(body)["objects"]
            put = [
                {**one, "actions": {"upload": {"href": f"{self.store}/lfs/{one['oid']}"}}}
                for one in asked
            ]
            return 200, {}, json.dumps({"objects": put}).encode()
        found = _WRITE.fullmatch(path)
        if found is None or found["repo"] not in self.repos:
            return self._fail("nobody", 404, "RepoNotFound", token)
        if found["what"] == "preupload":
            files = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            return 200, {}, json.dumps({"files": files}).encode()
        files = dict(self.repos[found["repo"]])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
        self.repos[found["repo"]] = files
        address = f"{self.url}/{found['repo']}/commit/{COMMIT}"
        said = {"success": True, "commitUrl": address, "commitOid": COMMIT, "hookOutput": ""}
        return 200, {}, json.dumps(said).encode()

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
        """What the hub itself says."""
        found = _MODEL.match(path) or _FILE.match(path)
        if found is None:
            return 404, {}, b"no such route"
        repo = found["repo"]
        owner, is_file = repo.split("/")[0], "/resolve/" in path
        fault = (_OF_FILES if is_file else _OF_MODEL).get(owner)
        if owner == "nonsense":
            return 200, {}, b"<html>" + (token or "").encode()
        if fault is not None:
            return self._fail(owner, *fault, token)
        if repo not in self.repos:
            return self._fail(owner, 404, "RepoNotFound", token)
        if found["revision"] not in (None, "main", COMMIT):
            return self._fail(owner, 404, "RevisionNotFound", token)
        files = self.repos[repo]
        if is_file:
            return self._send(repo, found["name"], files[found["name"]])
        if found["what"] == "tree":
            return (
                200,
                {},
                json.dumps([_describe(name, data) for name, data in files.items()]).encode(),
            )
        return (
            200,
            {},
            json.dumps(
                {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": n} for n in files]}
            ).encode(),
        )

    def _send(self, repo: str, name: str, data: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{hashlib.sha1(data).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        if not name.endswith(".safetensors"):
            return 200, headers, data
        headers |= {
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{hashlib.sha256(data).hexdigest()}"',
        }
        return 302, {**headers, "Location": f"{self.store}/{repo}/{name}?signature=7"}, b""

    def _fail(
        self, owner: str, status: int, code: str, token: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        echo = f" You sent {token}" if self.does_echo else ""
        headers = {
            "X-Error-Message": f"{_SAID.get(owner, 'no')}{echo}",
            "X-Request-Id": f"r1{echo}",
        }
        headers |= {"X-Error-Code": code} if code else {}
        if status == 302:
            headers["Location"] = f"{self.stranger}/api/models/moved/model"
        if self.does_echo:
            headers["X-HF-Warning"] = f"account; {token} is old"
        return status, headers, json.dumps({"error": f"no{echo}"}).encode()


def _describe(name: str, data: bytes) -> dict:
    entry = {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    if name.endswith(".safetensors"):
        entry["lfs"] = {
            "oid": hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "pointerSize": 130,
        }
    return entry


@contextlib.contextmanager
def serve_hub(repos: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    """The hub, its store, and a server that it has nothing to do with."""
    hub = Hub(repos)

    def ask_hub(handler: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        token = handler.headers["Authorization"]
        hub.tokens["hub"].add(token)
        if handler.command == "POST":
            return hub.take(handler.path, read_body(handler), token)
        return hub.answer(handler.path, token)

    def read_body(handler: http.server.BaseHTTPRequestHandler) -> bytes:
        return handler.rfile.read(int(handler.headers["Content-Length"] or 0))

    def ask_store(handler: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        hub.tokens["store"].add(handler.headers["Authorization"])
        if handler.command == "PUT":
            data = read_body(handler)
            hub.large[handler.path.rpartition("/")[2]] = data
            assert hashlib.sha256(data).hexdigest() in hub.large
            return 200, {}, b""
        owner, model, name = handler.path.partition("?")[0].strip("/").split("/", 2)
        repo = f"{owner}/{model}"
        data, asked = hub.repos[repo][name], handler.headers["Range"]
        seen = hub.ranges.setdefault(f"{repo}/{name}", [])
        seen.append(asked)
        first = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0
        headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"} if asked else {}
        # "cut" breaks off once, "broken" whenever it is asked
        is_cut = repo.startswith("broken/") or repo.startswith("cut/") and len(seen) == 1
        rest = data[first:]
        sent = rest if not is_cut else rest[: len(rest) // 2] if not asked else b""
        return 206 if asked else 200, {**headers, "Content-Length": str(len(rest))}, sent

    def ask_stranger(
        handler: http.server.BaseHTTPRequestHandler,
    ) -> tuple[int, dict[str, str], bytes]:
        hub.tokens["stranger"].add(handler.headers["Authorization"])
        return 404, {}, b"who are you?"

    with (
        _serve(ask_hub) as hub.url,
        _serve(ask_store) as hub.store,
        _serve(ask_stranger) as hub.stranger,
    ):
        yield hub


@contextlib.contextmanager
def _serve(answer) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = answer(self)
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        do_HEAD = do_POST = do_PUT = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        # by name, so that the servers are other hosts than each other only by their port, as a
        # mirror's may be
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
