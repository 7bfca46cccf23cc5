"""A transcript as Whisper's decoder reads it: tokens, and the word to which each belongs.

    "Où est l'eau ?" ─►   ids     Ġ-O  ù  Ġ-est  Ġ-l  '  eau  Ġ-?
                          owner   0    0  1      2    2  2    −1        a mark is not part of a word, and often a pause

    prompt   <|startoftranscript|> <|fr|> <|transcribe|> <|notimestamps|>

The prompt of an English-only Whisper has the first and the last alone.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.alignment.word_time import AlignmentError, split_transcript
from sift_jax.models.hf_config import read_config

# of an English-only Whisper
_ENGLISH_VOCABULARY = 51_864
_START, _TASK, _PLAIN, _END = (
    "<|startoftranscript|>",
    "<|transcribe|>",
    "<|notimestamps|>",
    "<|endoftext|>",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """Token ids [n], the word of each or −1 [n], and the token at which each word with its marks
    begins [words + 1]."""

    words: tuple[str, ...]
    ids: np.ndarray
    owners: np.ndarray
    starts: np.ndarray

    def cut(self, first: int, last: int) -> "Text":
        """The words from `first` up to `last`."""
        part = slice(self.starts[first], self.starts[last])
        owners = self.owners[part]
        return Text(
            words=self.words[first:last],
            ids=self.ids[part],
            owners=np.where(owners < 0, -1, owners - first),
            starts=self.starts[first : last + 1] - self.starts[first],
        )

    def count_fitting(self, first: int, tokens: int) -> int:
        """The word up to which, from `first` on, the text has no more than so many tokens."""
        return int(np.searchsorted(self.starts, self.starts[first] + tokens, side="right")) - 1


class WhisperText:
    """The tokenizer of a Whisper's folder."""

    def __init__(self, folder: Path, vocabulary: int):
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise AlignmentError(
                f"{folder}: no tokenizer.json; take the whole folder, or import the weights again "
                "with --tokenizer=<a Whisper's folder with one>"
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare ones
            raise AlignmentError(f"{path}: cannot be read ({error}); fetch it again") from None
        # a name such as <|endoftext|> in a transcript is text
        self._tokenizer.encode_special_tokens = True
        self._folder = folder
        self.end = self._find(_END)
        generation = folder / "generation_config.json"
        told = read_config(generation)[0] if generation.is_file() else {}
        self._is_multilingual = told.get("is_multilingual", vocabulary != _ENGLISH_VOCABULARY)
        if self._tokenizer.get_vocab_size() > vocabulary + 1 or self.end >= vocabulary:
            raise AlignmentError(
                f"{path}: {self._tokenizer.get_vocab_size()} tokens, and the model has "
                f"{vocabulary}; take the tokenizer that came with the weights"
            )

    def make_prompt(self, language: str | None) -> list[int]:
        """What stands before a text in that language."""
        if not self._is_multilingual:
            if language not in (None, "en"):
                raise AlignmentError(
                    f"{self._folder} knows English alone, not {language!r}; take a multilingual one"
                )
            return [self._find(_START), self._find(_PLAIN)]
        if language is None:
            raise AlignmentError("a multilingual Whisper is told the language; give it")
        code = language.lower().replace("_", "-").split("-")[0]
        spoken = self._tokenizer.token_to_id(f"<|{code}|>")
        if spoken is None:
            raise AlignmentError(
                f"{self._folder} does not know the language {language!r}; take another aligner "
                "for it"
            )
        return [self._find(_START), spoken, self._find(_TASK), self._find(_PLAIN)]

    def encode(self, transcript: str) -> Text:
        """Its words as `split_transcript` has them."""
        starts: list[int] = []
        words = split_transcript(transcript)
        if not words:
            raise AlignmentError("the transcript has no words; leave the utterance out")
        ids: list[int] = []
        owners: list[int] = []
        for token in transcript.split():
            pieces = _part(token, len(starts))
            if len(pieces) > 1 or pieces[0][1] >= 0:
                starts.append(len(ids))
            for text, owner in pieces:
                found = self._tokenizer.encode(text, add_special_tokens=False).ids
                ids += found
                owners += [owner] * len(found)
        # marks ahead of the first word are the first word's
        return Text(
            words=tuple(words),
            ids=np.array(ids),
            owners=np.array(owners),
            starts=np.array([0, *starts[1:], len(ids)]),
        )

    def _find(self, name: str) -> int:
        found = self._tokenizer.token_to_id(name)
        if found is None:
            raise AlignmentError(
                f"{self._folder}/tokenizer.json: no token {name}; take a Whisper's tokenizer"
            )
        return found


def _part(token: str, word: int) -> Sequence[tuple[str, int]]:
    """(text, word or −1): "(so)," with the word so between its marks; a space before the first."""
    places = [i for i, letter in enumerate(token) if letter.isalnum()]
    if not places:
        return [(" " + token, -1)]
    first, last = places[0], places[-1] + 1
    pieces = [(token[:first], -1), (token[first:last], word), (token[last:], -1)]
    kept = [(text, owner) for text, owner in pieces if text]
    return [(" " + kept[0][0], kept[0][1]), *kept[1:]]
