"""Models fetched from a hub that is a server on localhost: what arrives, what fails how, and who
sees the token."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hub_server import COMMIT, serve_hub
from safetensors.numpy import load_file, save

from sift_jax.text.tokenizers import SpeechTokenizer, train_tokenizer

TOKEN = "hf-of-mine/Zq4uT9xW-7Lk2Vb"
PROGRAM = """
import json, sys, time
sleep = time.sleep
# what the library waits for before it tries again
time.sleep = lambda seconds: sleep(min(seconds, 0.05))
from sift_jax.endpoints.hub import find_folder
for name in sys.argv[1:]:
    try:
        print(json.dumps([name, str(find_folder(name)), None]))
    except ValueError as error:
        print(json.dumps([name, None, str(error)]))
"""
WEIGHTS = save({"w": np.arange(50_000, dtype=np.float32)})
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer/tokenizer.json": b"{}",
    "merges.txt": b"a b",
    "model.safetensors": WEIGHTS,
    "chat_template.jinja": b"{{ messages }}",
    # what could run code is not fetched
    "pytorch_model.bin": b"\x80pickle",
    "modeling.py": b"import os",
    "weights.pt": b"\x80",
}
# more than the library writes to disk at once, which is what it goes on after
CHUNK = 10 << 20
LARGE = {**FILES, "model.safetensors": save({"w": np.arange(6_000_000, dtype=np.float32)})}
REPOS = {
    "a/model": FILES,
    "cut/model": LARGE,
    "broken/model": FILES,
    "gated/model": FILES,
    "gone/model": FILES,
    "down/model": FILES,
    "a/code": {"modeling.py": b"import os"},
}


TOKENIZER_PROGRAM = """
import json, sys
from sift_jax.endpoints.hub import find_cached
from sift_jax.text.tokenizers import SpeechTokenizer
(name,) = sys.argv[1:]
was_there = find_cached(name) is not None
tokenizer = SpeechTokenizer(name)
print(json.dumps([was_there, find_cached(name) == tokenizer.folder, tokenizer.encode("rain falls")]))
"""


def run_with_hub(program, url, home, *names, token=TOKEN, **more):
    """What a process of its own says that asks the hub at `url`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith(("HF_", "HUGGING"))
    }
    environment |= {
        "HF_ENDPOINT": url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "5",
        "HF_HUB_ETAG_TIMEOUT": "5",
        **more,
    }
    environment |= {"HF_TOKEN": token} if token else {}
    done = subprocess.run(
        [sys.executable, "-c", program, *names],
        env=environment,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done


def ask(url, home, *names, token=TOKEN, **more):
    """{name: (folder, error)} as a process of its own finds them, and all that it has said."""
    done = run_with_hub(PROGRAM, url, home, *names, token=token, **more)
    found = {
        name: (folder, error) for name, folder, error in map(json.loads, done.stdout.splitlines())
    }
    return found, done.stdout + done.stderr


def test_a_tokenizer_arrives_without_the_weights_beside_it(tmp_path):
    train_tokenizer(["rain falls", "the rain", "falls"], 300, tmp_path / "made")
    made = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    with serve_hub({"a/model": {**made, "model.safetensors": WEIGHTS}}) as hub:
        done = run_with_hub(TOKENIZER_PROGRAM, hub.url, tmp_path / "home", "hf://a/model")
        assert hub.ranges == {}, "no weights were asked for"
    was_there, is_there, ids = json.loads(done.stdout)
    assert (was_there, is_there) == (False, True)
    assert ids == SpeechTokenizer(tmp_path / "made").encode("rain falls")


def list_pieces(token):
    return [token[i : i + 8].encode() for i in range(len(token) - 7)]


def check_silence(said, home, token=TOKEN):
    left = [said.encode(), *(path.read_bytes() for path in Path(home).rglob("*") if path.is_file())]
    assert not any(piece in text for text in left for piece in list_pieces(token))


def test_a_model_arrives_whole_and_is_not_fetched_again(tmp_path):
    with serve_hub(REPOS) as hub:
        found, said = ask(
            hub.url, tmp_path, "hf://a/model", "hf://a/model@main", f"hf://a/model@{COMMIT}"
        )
        (folder, error), *others = found.values()
        assert error is None and others == [(folder, None)] * 2
        assert {str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file()} == {
            "config.json",
            "tokenizer/tokenizer.json",
            "merges.txt",
            "model.safetensors",
            "chat_template.jinja",
        }
        assert all(
            (Path(folder) / name).read_bytes() == FILES[name]
            for name in ("config.json", "model.safetensors")
        )
        assert hub.ranges == {"a/model/model.safetensors": [None]}, (
            "three times asked for, once sent"
        )
        # the hub sees the token; the store, to which it sends one on with a signature, does not
        assert hub.tokens["hub"] == {f"Bearer {TOKEN}"} and hub.tokens["store"] == {None}
        check_silence(said, tmp_path)
    # nobody is there any more: what is kept will do
    again, _ = ask(hub.url, tmp_path, "hf://a/model", "hf://a/model@other")
    assert again["hf://a/model"] == (folder, None)
    assert "check the name, the network" in again["hf://a/model@other"][1]


def test_without_a_token_none_is_sent(tmp_path):
    with serve_hub(REPOS) as hub:
        found, _ = ask(hub.url, tmp_path, "hf://a/model", token=None)
        assert found["hf://a/model"][1] is None and hub.tokens["hub"] == hub.tokens["store"] == {
            None
        }


def test_a_download_that_breaks_off_goes_on_from_there(tmp_path):
    with serve_hub(REPOS) as hub:
        found, _ = ask(hub.url, tmp_path, "hf://cut/model")
    folder, error = found["hf://cut/model"]
    assert error is None and hub.ranges == {
        "cut/model/model.safetensors": [None, f"bytes={CHUNK}-"]
    }
    np.testing.assert_array_equal(
        load_file(Path(folder) / "model.safetensors")["w"], np.arange(6_000_000)
    )


FAILURES = [
    ("hf://nobody/model", "check the name; if it is private, set HF_TOKEN"),
    ("hf://a/model@v9", "check what stands behind the @"),
    ("hf://gated/model", "it is gated: accept its terms on its page of the hub, and set HF_TOKEN"),
    ("hf://private/model", "the hub refuses the token; set HF_TOKEN to a valid one"),
    ("hf://refused/model", "the hub refuses the token"),
    ("hf://busy/model", "the hub asks to wait; start again later"),
    ("hf://moved/model", "check the name"),
    ("hf://gone/model", "check the name"),
    ("hf://down/model", "the hub fails; start again later"),
    ("hf://nonsense/model", "check the name, the network"),
    ("hf://a/code", "has none of *.safetensors"),
    ("hf://broken/model", "start again, what is fetched is kept"),
]


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Every failure, of a hub that repeats the token wherever it can; and where the token went."""
    home = tmp_path_factory.mktemp("home")
    with serve_hub(REPOS) as hub:
        hub.does_echo = True
        found, said = ask(hub.url, home, *(name for name, _ in FAILURES))
    return found, said, home, hub.tokens


@pytest.mark.parametrize("name, remedy", FAILURES)
def test_what_fails_is_one_line_with_its_remedy(failed, name, remedy):
    folder, error = failed[0][name]
    assert (
        folder is None
        and error.startswith(name)
        and remedy in error
        and len(error.splitlines()) == 1
    )
    assert len(error) < 400, error


def test_no_failure_shows_the_token_or_sends_it_on(failed):
    _, said, home, tokens = failed
    check_silence(said, home)
    assert tokens["hub"] == {f"Bearer {TOKEN}"} and tokens["stranger"] == {None}


def test_without_a_token_what_may_be_private_is_said_to_be(tmp_path):
    with serve_hub(REPOS) as hub:
        found, _ = ask(hub.url, tmp_path, "hf://private/model", token=None)
    assert "check the name; if it is private, set HF_TOKEN" in found["hf://private/model"][1]


def test_nobody_there_and_a_password_in_the_address(tmp_path):
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://me:a-password-of-mine@127.0.0.1:{taken.getsockname()[1]}"
        found, said = ask(url, tmp_path, "hf://a/model")
    assert "check the name, the network" in found["hf://a/model"][1]
    check_silence(said, tmp_path, "a-password-of-mine")
