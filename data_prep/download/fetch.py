"""One file from a web server, whole or not at all; a part of it is continued where it ended.

    corpora/.downloads/dev-clean-2.tar.gz.part        what has come so far
    corpora/.downloads/dev-clean-2.tar.gz.part.json   {"url": …, "tag": …}: of which file it is a part

The tag is what the server calls this version of the file (ETag, or the time of its change). It goes
with the request for the rest (If-Range), so that two versions never become one file: of another
version the server sends all.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_prep.corpora.recording import CorpusError
from sift_jax.storage.whole_files import write_whole

_CHUNK = 1 << 20
_SECONDS = 60.0
# waited before each further try
_WAITS = (1.0, 4.0, 15.0, 60.0)
# what another try may fix
_PASSING = (408, 425, 429, 500, 502, 503, 504)
# of servers that only send
_NO_HEAD = (405, 501)


class BrokenTransfer(OSError):
    """The bytes ended before the file did."""


def ask_size(url: str) -> int | None:
    """How many bytes the file has, as the server says without sending it; None if it does not, or
    cannot just now."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with _open(request) as answer:
            length = answer.headers.get("Content-Length")
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "code", None) in (None, *_NO_HEAD, *_PASSING):
            return None
        raise _explain(url, error) from error
    return int(length) if length and length.isdigit() else None


def fetch_file(
    url: str,
    path: Path,
    *,
    advance: Callable[[int], Any] = lambda count: None,
    sleep: Callable[[float], Any] = time.sleep,
) -> None:
    """Downloads to `path`; `advance` is called with the bytes that came, those of an earlier call
    among them."""
    draft = path.with_name(f"{path.name}.part")
    note = path.with_name(f"{path.name}.part.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    reported = 0

    def report(size: int) -> None:
        nonlocal reported
        advance(size - reported)
        reported = size

    failures = 0
    while True:
        before = reported
        try:
            _fetch_rest(url, draft, note, report)
            break
        except (OSError, http.client.HTTPException) as error:
            status = getattr(error, "code", None)
            # a connection that breaks now and then, and brings something each time, will get there
            failures = 0 if reported > before else failures
            if failures == len(_WAITS) or (status is not None and status not in _PASSING):
                raise _explain(url, error) from error
            sleep(_WAITS[failures])
            failures += 1
    draft.replace(path)
    note.unlink(missing_ok=True)


def _fetch_rest(url: str, draft: Path, note: Path, report: Callable[[int], None]) -> None:
    there, tag = _find_part(url, draft, note)
    headers = {"Range": f"bytes={there}-", "If-Range": tag} if there else {}
    try:
        answer = _open(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        if error.code == 416:
            # nothing is behind the part that is there: it is whole, or of something else
            if error.headers.get("Content-Range", "").endswith(f"/{there}"):
                report(there)
                return
            draft.unlink()
            raise BrokenTransfer("what has come is not a part of what is there now") from error
        raise
    with answer:
        is_rest = answer.status == 206
        found = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        # a weak tag promises no equal bytes
        found = "" if found.startswith("W/") else found
        write_whole(note, json.dumps({"url": url, "tag": found}))
        size = there if is_rest else 0
        whole = answer.length + size if answer.length is not None else None
        with draft.open("ab" if is_rest else "wb") as out:
            report(size)
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                size += len(chunk)
                report(size)
    if whole is not None and size != whole:
        raise BrokenTransfer(f"{size:,} of {whole:,} bytes came")


def _find_part(url: str, draft: Path, note: Path) -> tuple[int, str]:
    """How much of the file is there, and of which version."""
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        size = draft.stat().st_size
    except (OSError, ValueError):
        return 0, ""
    if kept.get("url") != url or not kept.get("tag"):
        return 0, ""
    return size, kept["tag"]


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    request.add_header("User-Agent", "sift_jax")
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_SECONDS)
    return answer


def _explain(url: str, error: Exception) -> CorpusError:
    code = getattr(error, "code", None)
    if code == 404:
        return CorpusError(f"{url} is not there (404); the corpus may have moved: try --mirror")
    if code in (401, 403):
        return CorpusError(f"{url} is not given to us ({code}); download it by hand")
    reason = getattr(error, "reason", None) or error
    return CorpusError(
        f"{url} could not be fetched ({type(error).__name__}: {reason}); what has come is kept: "
        "start again, or try --mirror"
    )
