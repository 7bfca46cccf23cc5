"""The stage that measures: chunks of audio and timed words to parts/measured, a line an
utterance."""

import json
from pathlib import Path

from data_prep.alignment.word_time_stage import read_timed_utterances
from data_prep.engine.chunks import Chunk
from data_prep.metadata.experts import Chosen, make_panel
from data_prep.metadata.measure import measure_utterances
from sift_jax.audio.files import read_audio


def measure_chunk(chunk: Chunk, chosen: Chosen, gender_model: Path | None) -> int:
    """Writes what is measured of each utterance of a chunk, or the key for which it is dropped."""
    timed = (
        (read_audio(chunk.out / "audio" / f"{utterance.id}.flac"), utterance)
        for utterance in read_timed_utterances(chunk)
    )
    lines = []
    for utterance, measured in measure_utterances(timed, make_panel(chosen, gender_model)):
        row = measured.row or {"id": utterance.id, "rejected": measured.rejected}
        lines.append(json.dumps(row, ensure_ascii=False))
    chunk.write_lines("measured", lines)
    return chunk.last - chunk.first
