"""FLEURS: sentences read in many languages, word error rate after Whisper's normaliser.

    {.,data}/de_de/test.tsv                     without a header: sentence id ⇥ file ⇥ raw text ⇥ text ⇥ letters
    {.,data}/de_de/{audio/,}test/1004.wav                         ⇥ number of samples ⇥ MALE | FEMALE | OTHER

The layout is that of the corpus' archives, and of the hub's `google/fleurs` with its audio/test.tar.gz unpacked.
Several people read a sentence, and each recording is asked: the SIFT paper counts 350 sentences a language. The
reference is the raw text, whose numbers and capitals the normaliser takes care of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.evaluation.items import EvaluationError, Suite
from sift_jax.evaluation.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.gathering import Gathering
from sift_jax.evaluation.suites.tables import find_file, find_folder, read_lines

LOCALES = {"en": "en_us", "de": "de_de", "fr": "fr_fr", "it": "it_it", "es": "es_419"}
_COLUMNS = 7


def read_fleurs(
    root: Path, *, name: str = "fleurs", split: str = "test", languages: Sequence[str] = tuple(LOCALES),
    prompts: Prompts,
) -> Suite:
    gathering = Gathering(name)
    for language in languages:
        if language not in LOCALES:
            raise EvaluationError(f"{name}: no language {language!r}; those read here are {', '.join(LOCALES)}")
        locale = LOCALES[language]
        folder = find_folder(root, [locale, f"data/{locale}"], f"FLEURS in {language}")
        path = find_file(folder, [f"{split}.tsv"], f"list of FLEURS in {language}")
        audio = next((folder / f for f in (f"audio/{split}", split) if (folder / f).is_dir()), folder / "audio" / split)
        question = word_prompt(prompts, "asr", language)
        for number, line in read_lines(path):
            columns = line.split("\t")
            if len(columns) != _COLUMNS:
                gathering.leave(f"{locale}/{path.name}:{number}", split, f"{len(columns)} columns, not {_COLUMNS}")
                continue
            _, clip, text, *_ = columns
            gathering.ask(
                f"{locale}/{clip.removesuffix('.wav')}",
                subset=split,
                language=language,
                audio=[audio / clip],
                question=question,
                references=[text],
                metrics=["wer"],
            )
    return gathering.finish()
