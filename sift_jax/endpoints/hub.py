"""Where a model's files are: a folder as it is, hf://owner/name[@revision] fetched from the Hugging
Face hub.

The network is asked only for what says hf://; $HF_ENDPOINT names a mirror. The token is
huggingface_hub's business (HF_TOKEN, or what `hf auth login` has kept): it goes to the hub alone,
and neither errors nor log lines show it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sift_jax.endpoints.secret import Secret

T = TypeVar("T")
SCHEME = "hf://"
NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
# weights that can be read without running code, and the texts beside them
TEXTS = ("*.json", "*.txt", "*.jinja")
WANTED_FILES = ("*.safetensors", *TEXTS)
_LOGGER = "huggingface_hub"
# what a log has been told of
_SAID: set[str] = set()
# user and password of an address
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


def find_folder(source: str | Path, *, texts_only: bool = False) -> Path:
    """The local folder of `source`; what is on the hub is downloaded into the hub's cache first,
    `texts_only` without the weights."""
    text = str(source)
    if not is_on_hub(text):
        if Path(text).is_dir():
            return Path(text)
        hint = f"; for the hub write {SCHEME}{text}" if NAME.fullmatch(text) else ""
        raise ValueError(f"no folder {text}; download the model there first{hint}")
    repo, revision = _split(text)
    return _download(repo, revision, TEXTS if texts_only else WANTED_FILES)


def is_on_hub(source: str | Path) -> bool:
    return str(source).startswith(SCHEME)


def find_cached(source: str | Path) -> Path | None:
    """The folder of the texts of `source`, without asking the network; None where they are not on
    this machine."""
    if not is_on_hub(source):
        return Path(source) if Path(source).is_dir() else None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repo, revision = _split(str(source))
    try:
        return Path(
            snapshot_download(
                repo, revision=revision, allow_patterns=list(TEXTS), local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None


def _split(source: str) -> tuple[str, str | None]:
    """hf://owner/name@main becomes ("owner/name", "main")."""
    found = NAME.fullmatch(source.removeprefix(SCHEME))
    if not found:
        raise ValueError(
            f"{source} is not a name on the hub; write {SCHEME}owner/name or "
            f"{SCHEME}owner/name@revision"
        )
    return found["repo"], found["revision"]


def find_file(repo: str, name: str) -> Path:
    """One file of a model on the hub, downloaded into the hub's cache if it is not there."""
    from huggingface_hub import hf_hub_download

    return Path(_fetch(lambda: hf_hub_download(repo, name), repo, None))


def _download(repo: str, revision: str | None, wanted: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    with _say_in_log(f"{SCHEME}{repo}"):
        folder = Path(
            _fetch(
                lambda: snapshot_download(repo, revision=revision, allow_patterns=list(wanted)),
                repo,
                revision,
            )
        )
    # of a model in other formats nothing is wanted, and nothing is made
    if not folder.is_dir() or not any(folder.iterdir()):
        raise ValueError(
            f"{SCHEME}{repo} has none of {', '.join(wanted)}; take a model that has "
            "safetensors, or download its files and convert them with python -m "
            "sift_jax.import_weights"
        )
    return folder


@contextlib.contextmanager
def _say_in_log(name: str) -> Iterator[None]:
    """A log has a line where a terminal has the library's bars, and none where all is there."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    if name not in _SAID:
        _SAID.add(name)
        print(f"{name}: from the hub, or its cache on this machine", file=sys.stderr, flush=True)
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def _fetch(download: Callable[[], str], repo: str, revision: str | None) -> str:
    import huggingface_hub

    # what is sent, wherever it comes from
    token = Secret(huggingface_hub.get_token() or "")
    name = f"{SCHEME}{repo}" + (f"@{revision}" if revision else "")
    return call_hub(download, token, f"{name} could not be fetched", _find_remedy)


def call_hub(
    call: Callable[[], T],
    token: Secret,
    failed: str,
    find_remedy: Callable[[Exception, bool], str],
) -> T:
    """What a call of huggingface_hub gives; its failure as one line that begins with `failed`, ends
    with what there is to do, and holds no token."""
    try:
        with _scrub_log(token):
            return call()
    except Exception as error:
        # the first line says what; the rest may quote the request's headers
        reason = _tidy(str(error).strip().split("\n")[0], token)
        remedy = find_remedy(error, bool(token))
        raise ValueError(f"{failed} ({type(error).__name__}: {reason}); {remedy}") from None


def read_status(error: Exception) -> int | None:
    """The status that the hub answered with, if it did."""
    from huggingface_hub import errors

    # where nothing is in the cache either, the library says so, and what the hub said is the cause
    cause = error.__cause__ if isinstance(error.__cause__, errors.HfHubHTTPError) else error
    return getattr(getattr(cause, "response", None), "status_code", None)


def _find_remedy(error: Exception, has_token: bool) -> str:
    from huggingface_hub import errors

    cause = error.__cause__ if isinstance(error.__cause__, errors.HfHubHTTPError) else error
    status = read_status(error)
    # gated is a kind of not found there
    if isinstance(cause, errors.GatedRepoError):
        return (
            "it is gated: accept its terms on its page of the hub, and set HF_TOKEN to a token of "
            "that account"
        )
    if isinstance(cause, errors.RevisionNotFoundError):
        return "check what stands behind the @: a branch, a tag or a commit of it"
    if isinstance(cause, errors.RepositoryNotFoundError) or status == 401 and not has_token:
        return "check the name; if it is private, set HF_TOKEN to a token that may read it"
    if status == 404:
        return "there is no such thing on the hub; check the name"
    if status in (401, 403):
        return "the hub refuses the token; set HF_TOKEN to a valid one that may read it, or to none"
    if status == 429:
        return "the hub asks to wait; start again later, what is fetched is kept"
    if status is not None:
        return "the hub fails; start again later, what is fetched is kept"
    return (
        "check the name, the network, and HF_TOKEN for a gated model; start again, what is "
        "fetched is kept"
    )


@contextlib.contextmanager
def _scrub_log(token: Secret) -> Iterator[None]:
    """The library's log lines without the token: it repeats what servers say."""

    def scrub(record: logging.LogRecord) -> bool:
        record.msg, record.args = _tidy(record.getMessage(), token), ()
        return True

    # a logger's own filters do not see what its children say
    handlers: list[Any] = [*logging.getLogger(_LOGGER).handlers, *logging.getLogger().handlers]
    for handler in handlers:
        handler.addFilter(scrub)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(scrub)


def _tidy(text: str, token: Secret) -> str:
    return re.sub(r"hf_[A-Za-z0-9]{8,}", "***", _LOGIN.sub("***@", token.scrub(text)))
