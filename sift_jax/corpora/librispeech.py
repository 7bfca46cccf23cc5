"""LibriSpeech: read English.

    LibriSpeech/SPEAKERS.TXT                                     ;ID |SEX| SUBSET |MINUTES| NAME
    LibriSpeech/{train-clean-100,…,dev-other,test-clean,…}/19/198/19-198.trans.txt    19-198-0000 NORTHANGER ABBEY
    LibriSpeech/train-clean-100/19/198/19-198-0000.flac

The layout is that of OpenSLR 12. Transcripts are in capitals without punctuation; they are read in
lower case.
"""

from pathlib import Path


def list_transcripts(part: Path) -> list[Path]:
    """Of the chapters of a part, each beside its recordings."""
    return sorted(part.glob("*/*/*.trans.txt"))


def parse_line(line: str) -> tuple[str, str, str]:
    """Id, file and words of an utterance."""
    identity, _, transcript = line.partition(" ")
    return identity, f"{identity}.flac", transcript.lower()
