"""FLEURS: sentences read in many languages, word error rate after Whisper's normaliser.

sift_jax/corpora/fleurs.py has the layout. Several people read a sentence. `recordings` asks all of
them; `sentences` the first of each sentence, which makes the 350 a language that the SIFT paper
counts. The reference is the raw text, whose numbers and capitals the normaliser takes care of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.corpora.bad_item import BadItem
from sift_jax.corpora.fleurs import LOCALES, list_audio_folders, list_folders, parse_row
from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import find_file, find_folder, read_lines
from sift_jax.evaluation.suites.suite_builder import Gathering

SUBSETS = (RECORDINGS, SENTENCES) = ("recordings", "sentences")


def read_fleurs(
    root: Path,
    *,
    name: str = "fleurs",
    subsets: Sequence[str] = (RECORDINGS,),
    split: str = "test",
    languages: Sequence[str] = tuple(LOCALES),
    prompts: Prompts,
) -> Suite:
    gathering = Gathering(name)
    if unknown := [subset for subset in subsets if subset not in SUBSETS]:
        raise EvaluationError(
            f"{name}: no part {', '.join(unknown)}; its parts are {', '.join(SUBSETS)}"
        )
    if unknown := [language for language in languages if language not in LOCALES]:
        raise EvaluationError(
            f"{name}: no language {', '.join(unknown)}; those read here are {', '.join(LOCALES)}"
        )
    for language in languages:
        folder = find_folder(root, list_folders(language), f"FLEURS in {language}")
        path = find_file(folder, [f"{split}.tsv"], f"list of FLEURS in {language}")
        places = [folder / name for name in list_audio_folders(split)]
        audio = next((place for place in places if place.is_dir()), places[0])
        question = word_prompt(prompts, "asr", language)
        for subset in subsets:
            _ask_list(path, audio, gathering, subset, language, question)
    return gathering.finish()


def _ask_list(
    path: Path, audio: Path, gathering: Gathering, subset: str, language: str, question: str
) -> None:
    sentences = set()
    for number, line in read_lines(path):
        try:
            row = parse_row(line)
        except BadItem as bad:
            gathering.leave(f"{LOCALES[language]}/{path.name}:{number}", subset, bad.detail)
            continue
        if subset == SENTENCES and row.sentence in sentences:
            continue
        sentences.add(row.sentence)
        gathering.ask(
            f"{LOCALES[language]}/{row.file.removesuffix('.wav')}",
            subset=subset,
            language=language,
            audio=[audio / row.file],
            question=question,
            references=[row.raw_text],
            metrics=["wer"],
        )
