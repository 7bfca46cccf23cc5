"""The page at /: it asks nobody but the server, its text can be read, and a real browser asks with
it."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import open_page
from tiny_server import NAME, make_clip, run_server

import sift_jax
from sift_jax.audio.front_ends import FRONT_ENDS

DEMO = Path(sift_jax.__file__).parent / "serving" / "demo"


@pytest.fixture(scope="module")
def model(trained_run):
    return sift_jax.load(trained_run, rows=1)


@pytest.fixture(scope="module")
def server(model):
    with run_server({NAME: model.parts, "other": model.parts.forget()}) as running:
        yield running


def test_the_page_is_whole_and_asks_nobody_else(server):
    status, page = server.get("/")
    assert status == 200
    for name in ("page.js", "page.css"):
        assert f"/demo/{name}" in page and server.get(f"/demo/{name}")[0] == 200
    for name in ("", "page.py", "..%2f..%2fapp.py"):
        assert server.get(f"/demo/{name}")[0] == 404
    text = "".join(path.read_text(encoding="utf-8") for path in DEMO.iterdir())
    assert not re.findall(r"https?://", text)


def test_every_part_that_the_script_names_is_on_the_page():
    page, script = ((DEMO / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "js"))
    named = set(re.findall(r'byId\("(\w+)"\)', script))
    assert named == set(re.findall(r'id="(\w+)"', page)) & named and len(named) > 20
    # what a person fills in has a label
    for field in re.findall(r'<(?:input|select|textarea) id="(\w+)"', page):
        assert f'for="{field}"' in page or re.search(rf"<label[^>]*>[^<]*<\w+ id=\"{field}\"", page)


def read_luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_from_what_is_behind_it():
    style = (DEMO / "page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#\w{6});", style))
    pairs = [(ink, back) for ink in ("ink", "soft", "wrong") for back in ("paper", "shade")]
    for ink, back in [*pairs, ("paper", "accent"), ("paper", "wrong")]:
        dark, light = sorted(read_luminance(colours[name]) for name in (ink, back))
        assert (light + 0.05) / (dark + 0.05) >= 5.5, (ink, back)


def test_the_picture_is_what_the_model_hears(server, model):
    data = make_clip(1, 0.9)
    status, _, told = server.post("/demo/log_mel", {"model": NAME, "data": data})
    mel, encoder = json.loads(told), model.parts.config.encoder
    values = np.frombuffer(base64.b64decode(mel["values"]), np.uint8)
    assert status == 200 and len(values) == mel["frames"] * mel["bins"]
    samples, _ = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
    heard = np.zeros((encoder.mel_frames, encoder.mel_bins), np.float32)
    assert mel["frames"] == FRONT_ENDS[encoder.front_end].fill(samples, heard) == 90
    heard = heard[:90].ravel()
    assert np.corrcoef(values, heard)[0, 1] > 0.999
    assert server.post("/demo/log_mel", {"model": NAME, "data": "?"})[0] == 400


# a file is opened, two models are asked, and a second question follows
DRIVE = """
const wait = async (ready) => { while (!ready()) await new Promise((go) => setTimeout(go, 50)); };
await wait(() => byId("first").options.length > 1);
const bytes = Uint8Array.from(atob("CLIP"), (c) => c.charCodeAt(0));
await take(new File([bytes], "x.wav"), "x.wav");
byId("second").value = "other";
byId("tokens").value = "6";
for (const text of ["Is it loud?", "And fast?"]) {
  byId("question").value = text;
  byId("form").requestSubmit();
  await wait(() => !byId("ask").disabled);
}
await wait(() => byId("player").readyState > 0);
return {
  played: byId("player").duration,
  right: Math.max(...[...document.querySelectorAll("main *")].map((e) => e.getBoundingClientRect().right)),
  heard: byId("heard").textContent,
  error: byId("error").textContent,
  mel: [byId("mel").hidden, byId("mel").width, byId("mel").height],
  asked: [...document.querySelectorAll(".asked")].map((e) => e.textContent),
  answers: [...document.querySelectorAll(".answer")].map((e) =>
    [...e.children].map((child) => child.textContent)),
  widths: [document.documentElement.scrollWidth, innerWidth],
  columns: new Set([...document.querySelectorAll(".answer")].map((e) => e.offsetLeft)).size,
};
"""


@pytest.mark.extras
@pytest.mark.parametrize(("width", "columns"), [(390, 1), (1280, 2)])
def test_a_real_browser_asks_two_models(server, model, tmp_path, width, columns):
    clip = make_clip(1, 0.9)
    with open_page(tmp_path, width=width) as page:
        page.go(server.url.removesuffix("v1"))
        told = page.run(DRIVE.replace("CLIP", clip))
        page.save(tmp_path / "page.png")
    assert told["heard"] == "x.wav: 0.9 s" and not told["error"]
    assert told["mel"] == [False, 90, 80] and told["asked"] == ["Is it loud?", "And fast?"]
    assert [answer[0] for answer in told["answers"]] == [NAME, "other"] * 2
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(clip)), dtype="float32")
    # 16 kHz and 16 bits there and here: what the page sends is what was opened
    assert told["answers"][0][1] == model.ask((samples, rate), "Is it loud?", max_new_tokens=6)
    assert abs(told["played"] - 0.9) < 0.01 and told["right"] <= width - 16
    assert all(
        " token" in answer[2] and "the first after" in answer[2] for answer in told["answers"]
    )
    assert told["widths"][0] <= told["widths"][1] == width and told["columns"] == columns


@pytest.mark.extras
def test_a_real_browser_is_told_what_is_wrong(server, tmp_path):
    with open_page(tmp_path, width=390) as page:
        page.go(server.url.removesuffix("v1"))
        said = page.run(
            """
            await take(new File(["no sound"], "x.txt"), "x.txt");
            const first = byId("error").textContent;
            byId("tokens").value = "99999";
            byId("question").value = "Is it loud?";
            byId("form").requestSubmit();
            while (!byId("ask").disabled) await new Promise((go) => setTimeout(go, 10));
            while (byId("ask").disabled) await new Promise((go) => setTimeout(go, 50));
            return [first, document.querySelector(".answer footer").textContent];
            """
        )
    assert said[0].startswith("x.txt cannot be heard") and "lower max_tokens" in said[1]
