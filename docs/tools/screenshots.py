"""Pictures of the project's own pages, for README.md and docs/.

    python -m docs.tools.screenshots --run=runs/quickstart         of a run that is there
    python -m docs.tools.screenshots --work=runs/pictures          of a small run, made first: ten minutes

    run/report.html       ─ chromium ─► PNG, few colours ─► docs/pictures/report.png
    run/data/report.html                                    docs/pictures/data_report.png

It needs Chromium (`--chromium=` names it) and Pillow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
# page of a run → picture, and the heading that stands on its top
PAGES = {
    "report.html": ("report.png", "Samples"),
    "data/report.html": ("data_report.png", "Labels"),
}
SIZE = (1180, 900)
# room above a heading, in pixels
MARGIN = 30
MOST_BYTES = 150_000
CONFIGS = "configs/quickstart"
# a tenth of the quickstart: enough for pages with something on them
SMALL = (
    "data_prep.build --corpus=embedded --out={run}/data --train=300 --wordings=2 --plain --rows_per_utterance=6",
    "data_prep.tokenizer --sift={run}/data/sift --out={run}/data/tokenizer --size=4096",
    "sift_jax.train --gin_file={configs}/hear.gin --gin.STEPS=150 --gin.OUT_DIR={run}/hear {data}",
    "sift_jax.train --gin_file={configs}/name.gin --gin.STEPS=80 --gin.OUT_DIR={run}/name"
    " --gin.START_RUN={run}/hear {data}",
    "sift_jax.train --gin_file={configs}/stage1.gin --gin.STEPS=250 --gin.OUT_DIR={run}/stage1"
    " --gin.START_RUN={run}/name {data}",
    "sift_jax.evaluate --gin_file={configs}/evaluate.gin --gin.CHECKPOINT={run}/stage1"
    " --gin.OUT_DIR={run} --gin.ROOT={run}/data --gin.DATA_DIR={run}/data"
    " --gin.TRAIN_DIRS={{'hear':'{run}/hear','name':'{run}/name','stage1':'{run}/stage1'}} {data}",
)
DATA = "--gin.RECORDS={run}/data/records --gin.TOKENIZER={run}/data/tokenizer"


def make_small_run(run: Path) -> None:
    """The pages of a small quickstart, in `run`; what is done is not done again."""
    words = {"run": run, "configs": CONFIGS, "data": DATA.format(run=run)}
    flags = "--xla_force_host_platform_device_count=2"
    environment = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, **os.environ}
    for line in SMALL:
        command = [sys.executable, "-m", *line.format(**words).split()]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)


def start_at(page: Path, heading: str) -> str:
    """The page's text, without what stands above a heading."""
    text = page.read_text(encoding="utf-8")
    script = (
        "<script>for (const h of document.querySelectorAll('h2')) if (h.textContent.trim() == "
        f"{heading!r}) document.body.style.marginTop = {MARGIN} - "
        "h.getBoundingClientRect().top + 'px';</script>"
    )
    return text.replace("</body>", f"{script}</body>") if heading else text


def take_picture(page: Path, picture: Path, heading: str, chromium: str) -> None:
    """A part of a page as a PNG of at most 150 kB."""
    with tempfile.TemporaryDirectory() as folder:
        copy, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
        copy.write_text(start_at(page, heading), encoding="utf-8")
        command = [
            chromium,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--screenshot={shot}",
            copy.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        image = Image.open(shot).convert("RGB").crop((0, 0, *SIZE))
    for colours in (256, 64, 32, 16):
        image.quantize(colours, dither=Image.Dither.NONE).save(picture, optimize=True)
        if picture.stat().st_size <= MOST_BYTES:
            return
    raise ValueError(f"{picture} has {picture.stat().st_size:,} bytes; take a smaller part of it")


def main() -> None:
    """Takes all pictures."""
    parser = argparse.ArgumentParser(description="Takes pictures of the pages of a run.")
    parser.add_argument("--run", type=Path, help="a quickstart's folder, with its report.html")
    parser.add_argument("--work", type=Path, help="folder for a small run, which is made")
    parser.add_argument("--chromium", default="chromium", help="the browser's command")
    flags = parser.parse_args()
    if (flags.run is None) == (flags.work is None):
        parser.error("give one of --run and --work")
    if shutil.which(flags.chromium) is None:
        parser.error(f"no {flags.chromium} on this machine; install Chromium, or name it")
    if flags.work:
        make_small_run(flags.work)
    for name, (picture, heading) in PAGES.items():
        page = (flags.run or flags.work) / name
        take_picture(page, PICTURES / picture, heading, flags.chromium)
        print(f"docs/pictures/{picture}")


if __name__ == "__main__":
    main()
