"""CoVoST 2: Common Voice's sentences translated into English, BLEU and chrF.

    {.,de,cv-corpus-4-2019-12-10/de}/covost_v2.de_en.test.tsv    path ⇥ sentence ⇥ translation ⇥ client_id
    {de,cv-corpus-4-2019-12-10/de,.}/clips/common_voice_de_1.mp3

The layout is what CoVoST 2's get_covost_splits.py writes beside the clips of Common Voice 4. It
escapes quotation marks by a backslash and writes none around a column. A part is a pair of
languages; German, French, Italian and Spanish into English are asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

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
        releases = [f"{path.name}/{language}" for path in sorted(root.glob("cv-corpus-*"))]
        subset = f"{language}_{TARGET}"
        table = f"covost_v2.{subset}.{split}.tsv"
        places = [f"{folder}/{table}" for folder in (".", language, *releases)]
        path = find_file(root, places, f"CoVoST 2 from {language} into {TARGET}")
        clips = find_folder(
            root,
            [f"{folder}/clips" for folder in (language, *releases, ".")],
            f"clips of Common Voice in {language}",
        )
        # "Zielsprache: Englisch": the target's name is a word of the prompt, and so of the prompt's
        # language.
        into = name_label("language", LANGUAGE_NAMES[TARGET], language)
        question = word_prompt(prompts, "translation", language, into=into)
        for _, row in read_table(path, _COLUMNS, gathering, subset):
            clip = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"
            gathering.ask(
                clip.removesuffix(".mp3"),
                subset=subset,
                language=language,
                audio=[clips / clip],
                question=question,
                references=[re.sub(r"\\(.)", r"\1", row["translation"])],
                metrics=["bleu", "chrf"],
                facets={"target_language": TARGET},
            )
    return gathering.finish()
