"""FLEURS: sentences read in many languages, several people each; who they are it does not tell.

    {.,data}/de_de/{train,dev,test}.tsv             without a header: sentence id ⇥ file ⇥ raw text ⇥ text ⇥ letters
    {.,data}/de_de/{audio/,}{train,dev,test}/1004.wav                 ⇥ number of samples ⇥ MALE | FEMALE | OTHER

The layout is that of the corpus' archives, and of the hub's `google/fleurs` with its
audio/*.tar.gz unpacked.
"""

from typing import NamedTuple

from sift_jax.corpora.bad_item import BadItem

LOCALES = {"en": "en_us", "de": "de_de", "fr": "fr_fr", "it": "it_it", "es": "es_419"}


class Row(NamedTuple):
    """A recording, by the columns of its line."""

    sentence: str
    file: str
    raw_text: str
    text: str
    letters: str
    samples: str
    gender: str


def list_folders(language: str) -> list[str]:
    return [LOCALES[language], f"data/{LOCALES[language]}"]


def list_audio_folders(part: str) -> list[str]:
    return [f"audio/{part}", part]


def parse_row(line: str) -> Row:
    columns = line.split("\t")
    if len(columns) != len(Row._fields):
        raise BadItem("broken line", f"{len(columns)} columns, not {len(Row._fields)}")
    return Row(*columns)
