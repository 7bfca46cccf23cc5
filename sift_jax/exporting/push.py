"""An export laid onto the Hugging Face hub, with its card.

out/ ─ create the repository, private, if there is none ─ upload ─► https://huggingface.co/owner/name

The token comes from HF_TOKEN alone: what is kept on the machine for downloads may belong to somebody
who did not mean to publish. Neither errors nor log lines show it.
"""

from __future__ import annotations

import re
from pathlib import Path

from sift_jax.endpoints.hub import SCHEME, call_hub, read_status
from sift_jax.endpoints.secret import Secret, read_secret

TOKEN = "HF_TOKEN"
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_push(repo: str) -> Secret:
    """The token; an error where the name is not one on the hub, or nothing may be written there."""
    if not _NAME.fullmatch(repo):
        hint = f"; leave {SCHEME} out" if repo.startswith(SCHEME) else ""
        raise ValueError(f"{repo} is not a name on the hub; write owner/name{hint}")
    token = read_secret(TOKEN)
    if not token:
        raise ValueError(
            f"no token to push with; set {TOKEN} to one that may write to {repo} "
            "(https://huggingface.co/settings/tokens)"
        )
    return token


def push_export(folder: str | Path, repo: str) -> str:
    """Uploads the folder to the repository, which is made if it is not there, private; returns the
    address of the commit."""
    token = check_push(repo)

    def push() -> str:
        from huggingface_hub import HfApi

        api = HfApi(token=token.reveal(), library_name="sift_jax")
        api.create_repo(repo, private=True, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo,
            folder_path=str(folder),
            commit_message=f"Upload {Path(folder).name}, written by sift_jax",
        )
        return str(done.commit_url)

    def find_remedy(error: Exception, _: bool) -> str:
        status = read_status(error)
        if status in (401, 403):
            return f"set {TOKEN} to a token that may write to {repo}"
        if status == 404:
            return "check the owner's name"
        return "the folder is whole; start the same command again, what has arrived is kept"

    return call_hub(push, token, f"{folder} could not be pushed to {repo}", find_remedy)
