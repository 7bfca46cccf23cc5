"""CoVoST 2: Common Voice's sentences and their translations.

    {de,cv-corpus-4-2019-12-10/de,.}/covost_v2.de_en.{train,dev,test}.tsv    path ⇥ sentence ⇥ translation ⇥ client_id
    {de,cv-corpus-4-2019-12-10/de,.}/clips/common_voice_de_1.mp3

The layout is what CoVoST 2's get_covost_splits.py writes beside the clips of Common Voice 4. It
escapes quotation marks by a backslash and writes none around a column.
"""

import re
from pathlib import Path


def list_folders(root: Path, language: str) -> list[str]:
    """Where the lists and clips of a language may be, each as the beginning of a path."""
    releases = [f"{path.name}/{language}/" for path in sorted(root.glob("cv-corpus-*"))]
    return [f"{language}/", *releases, ""]


def name_clip(path: str) -> str:
    return path if path.endswith(".mp3") else f"{path}.mp3"


def unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
