"""Whatever is done to the lists of a corpus, its reader says what it skips, and what it says
can be written."""

import random

import pytest
from corpus_layouts import GERMAN, write_fleurs, write_peoples_speech
from task_layouts import (
    write_ami,
    write_covost,
    write_cvss,
    write_msp_podcast,
    write_pairs,
    write_slurp,
)

from data_prep.corpora.recording import CorpusError
from data_prep.engine.ledger import Rejection
from data_prep.tasks.example import parse_example
from data_prep.tasks.example_to_row import make_row
from data_prep.tasks.registry import read_task
from sift_jax.corpora.bad_item import BadItem

LISTS = (".tsv", ".jsonl", ".json", ".csv", ".xml")
PIECES = (
    b"\t",
    b"\n",
    b'"',
    b"\\",
    b"\xff",
    b"\0",
    b"\\ud800",
    b"../",
    b"-1",
    b"1e999",
    b"null",
    b"[]",
    b"{",
    b"<w>",
    b"&x;",
    b",",
    "\u2028".encode(),
)


def write_two_fleurs(root):
    write_fleurs(root, "es_419")
    write_fleurs(root, "de_de", GERMAN)


CASES = [
    ("asr", "peoples_speech", write_peoples_speech, "en"),
    ("translation", "covost2", write_covost, "de"),
    ("speech_to_speech", "cvss", write_cvss, "de"),
    ("translation", "fleurs", write_two_fleurs, "de"),
    ("translation", "voxpopuli", write_pairs, "de"),
    ("intent", "slurp", write_slurp, "en"),
    ("slots", "slurp", write_slurp, "en"),
    ("emotion", "msp_podcast", write_msp_podcast, "en"),
    ("speaker_asr", "ami", write_ami, "en"),
]


@pytest.mark.parametrize(
    "task, corpus, write, language", CASES, ids=[f"{case[0]}.{case[1]}" for case in CASES]
)
def test_damaged_lists(tmp_path, task, corpus, write, language):
    write(tmp_path)
    lists = {
        path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.suffix in LISTS
    }
    rng, seen = random.Random(f"{task}.{corpus}"), 0
    for _ in range(25):
        path = rng.choice(sorted(lists))
        data = bytearray(lists[path])
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(data))
            data[place : place + rng.choice((0, 1, 4, 40))] = rng.choice(PIECES)
        path.write_bytes(data)
        try:
            items = list(read_task(task, corpus, tmp_path, None, corpus, [language]))
        except CorpusError as error:
            assert len(str(error).splitlines()) == 1
            items = []
        for item in items:
            item.to_json().encode()
            if isinstance(item, Rejection):
                continue
            assert parse_example(item.to_json()) == item
            seen += 1
            try:
                make_row(item, task, source=corpus, seed=0)
            except BadItem as bad:
                assert bad.reason
        path.write_bytes(lists[path])
    assert seen > 25
