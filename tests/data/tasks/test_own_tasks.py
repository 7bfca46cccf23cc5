"""The module of one's own is taken out of its tutorial and run, as a reader would."""

import importlib
import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_run import make_data

from sift_jax.audio.files import write_audio
from sift_jax.data.batch_stream import BatchStream, SpeechGeometry
from sift_jax.data.records.record_writer import index_audio

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "tutorials" / "own_tasks.md").read_text(encoding="utf-8")


@pytest.fixture
def my_tasks(tmp_path, monkeypatch):
    """The module my_tasks beside two files of data, in the current folder."""
    (block,) = re.findall(r'```python title="my_tasks.py"\n(.*?)```', PAGE, re.DOTALL)
    (tmp_path / "my_tasks.py").write_text(block, encoding="utf-8")
    (tmp_path / "my_data").mkdir()
    for split in ("train", "dev"):
        write_audio(tmp_path / f"{split}.flac", np.full(16_000, 0.25))
        rows = [f"{split}.flac\tWhat hums?\tA fridge, number {i}." for i in range(5)]
        (tmp_path / "my_data" / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("my_tasks")
    sys.modules.pop("my_tasks")


def test_the_module_feeds_batches(corpus, my_tasks):
    data = make_data(corpus, name="mine", rates=None, rows=8)
    geometry = SpeechGeometry(
        hears_units=False,
        mel_bins=80,
        window_seconds=2.0,
        is_silence_masked=True,
        front_end="whisper",
        count_frames=lambda frames: -(-frames // 8),
    )
    stream = BatchStream(data, geometry, split="train", is_endless=True, modules=(my_tasks,))
    batches = [batch for _, batch in itertools.islice(stream.batches(), 8)]
    said = "".join(stream.tokenizer.decode(b["target_bm"][b["weight_bm"] > 0]) for b in batches)
    assert "A fridge, number" in said, "the task of one's own is in no batch"
    assert "It is " in said and "Es ist" not in said, (
        "the mixture names English SIFT tasks beside it"
    )


def test_vctk_files_are_found_without_their_microphone(tmp_path):
    for name in (
        "p225/p225_001_mic1.flac",
        "p225/p225_001_mic2.flac",
        "s5/s5_001_mic2.flac",
        "10_20_000003.flac",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(160), 16_000)
    assert index_audio(tmp_path)["p225_001"].name == "p225_001_mic1.flac"
    assert set(index_audio(tmp_path)) == {"10_20_000003", "p225_001", "s5_001"}
