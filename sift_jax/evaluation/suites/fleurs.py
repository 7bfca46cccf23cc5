"""FLEURS: sentences read in many languages, word error rate after Whisper's normaliser.

    {.,data}/de_de/test.tsv                     without a header: sentence id ⇥ file ⇥ raw text ⇥ text ⇥ letters
    {.,data}/de_de/{audio/,}test/1004.wav                         ⇥ number of samples ⇥ MALE | FEMALE | OTHER

The layout is that of the corpus' archives, and of the hub's `google/fleurs` with its
audio/test.tar.gz unpacked. Several people read a sentence. `recordings` asks all of them;
`sentences` the first of each sentence, which makes the 350 a language that the SIFT paper counts.
The reference is the raw text, whose numbers and capitals the normaliser takes care of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.evaluation.scores.schema import EvaluationError, Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import find_file, find_folder, read_lines
from sift_jax.evaluation.suites.suite_builder import Gathering

LOCALES = {"en": "en_us", "de": "de_de", "fr": "fr_fr", "it": "it_it", "es": "es_419"}
SUBSETS = (RECORDINGS, SENTENCES) = ("recordings", "sentences")
_COLUMNS = 7


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
        locale = LOCALES[language]
        folder = find_folder(root, [locale, f"data/{locale}"], f"FLEURS in {language}")
        path = find_file(folder, [f"{split}.tsv"], f"list of FLEURS in {language}")
        audio = next(
            (folder / f for f in (f"audio/{split}", split) if (folder / f).is_dir()),
            folder / "audio" / split,
        )
        question = word_prompt(prompts, "asr", language)
        for subset in subsets:
            _ask_list(path, audio, gathering, subset, language, question)
    return gathering.finish()


def _ask_list(
    path: Path, audio: Path, gathering: Gathering, subset: str, language: str, question: str
) -> None:
    sentences = set()
    for number, line in read_lines(path):
        columns = line.split("\t")
        if len(columns) != _COLUMNS:
            reason = f"{len(columns)} columns, not {_COLUMNS}"
            gathering.leave(f"{LOCALES[language]}/{path.name}:{number}", subset, reason)
            continue
        sentence, clip, text, *_ = columns
        if subset == SENTENCES and sentence in sentences:
            continue
        sentences.add(sentence)
        gathering.ask(
            f"{LOCALES[language]}/{clip.removesuffix('.wav')}",
            subset=subset,
            language=language,
            audio=[audio / clip],
            question=question,
            references=[text],
            metrics=["wer"],
        )
