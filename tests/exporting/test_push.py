"""An export pushed to a hub that is a server on localhost, and loaded from there again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import COMMIT, serve_hub
from tiny_corpus import make_noise

import sift_jax
from sift_jax.audio.files import write_audio

TOKEN = "hf_writer0123456789abcdef"
ASK = """
import sys, sift_jax
print(sift_jax.load(sys.argv[1]).ask(sys.argv[2], "Is it loud?", max_new_tokens=6))
"""


def run(url, home, *words, token=TOKEN):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith(("HF_", "HUGGING"))
    }
    environment |= {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # the store of today's hub, which is no server that one writes in a test
        "HF_HUB_DISABLE_XET": "1",
    }
    environment |= {"HF_TOKEN": token} if token else {}
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )


def push(url, home, run_dir, out, repo, **more):
    command = ("-m", "sift_jax.export", f"--checkpoint={run_dir}", f"--out={out}")
    return run(url, home, *command, f"--push={repo}", **more)


def test_what_is_pushed_is_what_is_loaded_from_there(trained_run, tmp_path):
    write_audio(tmp_path / "x.wav", make_noise(0, 0.6))
    with serve_hub({}) as hub:
        done = push(hub.url, tmp_path / "home", trained_run, tmp_path / "out", "me/model")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"pushed: {hub.url}/me/model/commit/{COMMIT}"
        assert hub.made["me/model"]["visibility"] == "private"
        files = {
            str(path.relative_to(tmp_path / "out")): path.read_bytes()
            for path in (tmp_path / "out").rglob("*")
            if path.is_file()
        }
        assert hub.repos["me/model"] == files and "README.md" in files
        card = files["README.md"].decode()
        assert 'model = sift_jax.load("hf://me/model")' in card and "THIS_FOLDER" not in card
        assert hub.tokens["hub"] == {f"Bearer {TOKEN}"} and hub.tokens["store"] == {None}
        assert TOKEN not in done.stdout + done.stderr
        asked = run(hub.url, tmp_path / "home", "-c", ASK, "hf://me/model", tmp_path / "x.wav")
    answer = sift_jax.load(trained_run).ask(
        str(tmp_path / "x.wav"), "Is it loud?", max_new_tokens=6
    )
    assert asked.stdout.rstrip("\n").endswith(answer.rstrip("\n")) and answer, asked.stderr


@pytest.mark.parametrize(
    ("repo", "token", "message"),
    [
        ("me/model", None, "error: no token to push with; set HF_TOKEN to one that may write"),
        ("me/model", "a b", "error: $HF_TOKEN holds a space"),
        ("model", TOKEN, "error: model is not a name on the hub; write owner/name"),
        ("hf://me/model", TOKEN, "write owner/name; leave hf:// out"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(trained_run, tmp_path, repo, token, message):
    done = push("http://localhost:9", tmp_path, trained_run, tmp_path / "out", repo, token=token)
    assert done.returncode == 2 and message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_token_that_may_not_write_is_told_and_not_shown(trained_run, tmp_path):
    with serve_hub({}) as hub:
        hub.does_echo = True
        reader = "hf_reader0123456789abcdef"
        done = push(hub.url, tmp_path, trained_run, tmp_path / "out", "me/model", token=reader)
    assert done.returncode == 2 and hub.repos == {}
    assert "could not be pushed to me/model" in done.stderr
    assert "set HF_TOKEN to a token that may write to me/model" in done.stderr
    assert reader not in done.stdout + done.stderr
    assert (tmp_path / "out" / "README.md").is_file()
