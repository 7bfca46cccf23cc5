"""What a run of rewards does, and what makes pairs: how many answers, how they are drawn, what they
are worth, how far an update may go."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from sift_jax.decoding.sampling import DecodingConfig
from sift_jax.field_ranges import (
    CheckedConfig,
    Count,
    Items,
    NotNegative,
    OneOf,
    Positive,
    Range,
    Text,
    Whole,
)


def make_plain_decoding(max_new_tokens: int, temperature: float) -> DecodingConfig:
    """Every token drawn from the whole distribution."""
    return DecodingConfig(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram=0,
        beams=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrpoConfig(CheckedConfig):
    """Group-relative policy optimisation over LoRA; a step is DataConfig.rows prompts."""

    # answers to each prompt, which are compared with each other
    rollouts: Annotated[int, Range(least=2)]
    # tokens of an answer, at most
    max_new_tokens: Count
    # of what is drawn, and of the distribution that is trained
    temperature: Positive
    # of the optimizer, on the rollouts of one step
    updates: Count
    # how far the ratio of a token's probabilities may go from 1 and still be rewarded
    clip: Annotated[float, Range(above=0, below=1)]
    # of the distance to the decoder with LoRA off
    kl_weight: NotNegative

    @property
    def decoding(self) -> DecodingConfig:
        """Drawn from the distribution itself: a nucleus or a penalty would make it another one than
        is trained."""
        return make_plain_decoding(self.max_new_tokens, self.temperature)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RewardConfig(CheckedConfig):
    """What a rollout is worth, and what becomes of rewards that fail."""

    # name, or module.function of a --module_import module, to its weight in the sum
    parts: Annotated[Mapping[Text, Annotated[float, Range()]], Items(least=1)]
    # that one call may take
    seconds: Positive
    # share of the rollouts of the last 20 steps whose reward may fail before the run ends
    most_failed: Annotated[float, Range(least=0, most=1)]
    # steps between pages of rollouts
    page_every: Count
    # prompts that a page shows, each with all of its rollouts
    page_groups: Count


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairsConfig(CheckedConfig):
    """Whose answers are compared, how many and how, and where the pairs go."""

    # a run's folder or an export's: the model that DPO will start from
    checkpoint: Text
    # of a run's checkpoints; None takes the latest
    step: Whole | None
    # for the pairs, their recordings and the journal
    out_dir: Text
    # of the records; pairs of dev are held out
    split: Annotated[str, OneOf("train", "dev")]
    # at most; a mixture that has fewer ends before
    questions: Count
    # to each question
    answers: Annotated[int, Range(least=2)]
    # of an answer; one that reaches it is left out
    max_new_tokens: Count
    # the higher, the more the answers differ
    temperature: Positive
    # by which the best must be better than the worst, in the sum of the rewards
    margin: Positive
    # name, or module.function of a --module_import module, to its weight in the sum; "judge" is the
    # judge's verdict, from 0 to 1
    rewards: Annotated[Mapping[Text, Annotated[float, Range()]], Items(least=1)]
    # that one call of a function may take
    seconds: Positive
    # share of the answers whose reward may fail before the command ends
    most_failed: Annotated[float, Range(least=0, most=1)]

    @property
    def decoding(self) -> DecodingConfig:
        """Drawn from the whole distribution, as the rollouts of rewards are."""
        return make_plain_decoding(self.max_new_tokens, self.temperature)
