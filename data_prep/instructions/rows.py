"""A question and its answer in the released layout, whoever wrote them.

ids, question, answer ─►  {"id", "messages": [user: audio and text, assistant: text], "task", "data_source"}
an instruction to speak                       [user: text,           assistant: audio]
"""

import random
from collections.abc import Sequence

from sift_jax.sift.rows import Message, Row

AUDIO_FIRST_SHARE = 0.8


def name_row(ids: Sequence[str]) -> str:
    """The id of a row: its utterance's, or that of a pair."""
    return ids[0] if len(ids) == 1 else f"comparison_{'__'.join(ids)}"


def lay_out_row(
    ids: Sequence[str],
    category: str,
    question: str,
    answer: str | None,
    *,
    data_source: str,
    draw: str,
    first_share: float = AUDIO_FIRST_SHARE,
) -> Row:
    """One row; without an answer the audio is it. `draw` decides whether the audio stands before
    the question."""
    audio, text = (
        [{"audio_path": f"/path/to/{identity}.wav"} for identity in ids],
        [{"text": question}],
    )
    if answer is None:
        asked, answered = text, audio
    else:
        is_audio_first = random.Random(draw).random() < first_share
        asked, answered = audio + text if is_audio_first else text + audio, [{"text": answer}]
    messages: list[Message] = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": answered},
    ]
    return Row(
        id=name_row(ids), messages=messages, task=category.split("/")[0], data_source=data_source
    )
