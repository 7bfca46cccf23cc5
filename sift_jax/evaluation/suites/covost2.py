"""CoVoST 2: Common Voice's sentences translated into English, BLEU and chrF.

sift_jax/corpora/covost2.py has the layout. A part is a pair of languages; German, French, Italian
and Spanish into English are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sift_jax.corpora.covost2 import list_folders, name_clip, unescape
from sift_jax.evaluation.scores.schema import Suite
from sift_jax.evaluation.suites.prompts import Prompts, word_prompt
from sift_jax.evaluation.suites.row_files import find_file, find_folder, read_table
from sift_jax.evaluation.suites.suite_builder import Gathering
from sift_jax.sift.labels import LANGUAGE_NAMES, name_label

LANGUAGES = ("de", "fr", "it", "es")
TARGET = "en"
_COLUMNS = ("path", "translation")


def read_covost2(
    root: Path,
    *,
    name: str = "covost2",
    split: str = "test",
    languages: Sequence[str] = LANGUAGES,
    prompts: Prompts,
) -> Suite:
    gathering = Gathering(name)
    for language in languages:
        folders = list_folders(root, language)
        subset = f"{language}_{TARGET}"
        table = f"covost_v2.{subset}.{split}.tsv"
        places = [f"{folder}{table}" for folder in folders]
        path = find_file(root, places, f"CoVoST 2 from {language} into {TARGET}")
        places = [f"{folder}clips" for folder in folders]
        clips = find_folder(root, places, f"clips of Common Voice in {language}")
        # "Zielsprache: Englisch": the target's name is a word of the prompt, and so of the prompt's
        # language.
        into = name_label("language", LANGUAGE_NAMES[TARGET], language)
        question = word_prompt(prompts, "translation", language, into=into)
        for _, row in read_table(path, _COLUMNS, gathering, subset):
            clip = name_clip(row["path"])
            gathering.ask(
                clip.removesuffix(".mp3"),
                subset=subset,
                language=language,
                audio=[clips / clip],
                question=question,
                references=[unescape(row["translation"])],
                metrics=["bleu", "chrf"],
                facets={"target_language": TARGET},
            )
    return gathering.finish()
