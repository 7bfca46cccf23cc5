"""Where a model's files are: a folder as it is, hf://owner/name[@revision] fetched from the Hugging Face hub.

The network is asked only for what says hf://. The token is huggingface_hub's business (HF_TOKEN) and is never shown.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

SCHEME = "hf://"
NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
# weights that can be read without running code, and the texts beside them
WANTED_FILES = ("*.safetensors", "*.json", "*.txt", "*.jinja")


def find_folder(source: str | Path) -> Path:
    """The local folder of `source`; what is on the hub is downloaded into the hub's cache first."""
    text = str(source)
    if not text.startswith(SCHEME):
        if Path(text).is_dir():
            return Path(text)
        hint = f"; for the hub write {SCHEME}{text}" if NAME.fullmatch(text) else ""
        raise ValueError(f"no folder {text}; download the model there first{hint}")
    found = NAME.fullmatch(text.removeprefix(SCHEME))
    if not found:
        raise ValueError(f"{text} is no name on the hub; write {SCHEME}owner/name or {SCHEME}owner/name@revision")
    return _download(found["repo"], found["revision"])


def _download(repo: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(WANTED_FILES)))
    except Exception as error:
        # the first line says what; the rest may quote the request's headers
        reason = _hide_token(str(error).strip().split("\n")[0])
        raise ValueError(
            f"{SCHEME}{repo} could not be fetched ({type(error).__name__}: {reason}); "
            "check the name, the network, and HF_TOKEN for a gated model"
        ) from None


def _hide_token(text: str) -> str:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(name):
            text = text.replace(os.environ[name], "***")
    return re.sub(r"hf_[A-Za-z0-9]{8,}", "***", text)
