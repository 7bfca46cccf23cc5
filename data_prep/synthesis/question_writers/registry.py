"""The writers of questions by name."""

from pathlib import Path

from data_prep.synthesis.question_writers.few_shot_writer import FewShotPrompt, load_examples
from data_prep.synthesis.question_writers.llm_writer import InstructedPrompt, LlmWriter
from data_prep.synthesis.question_writers.rules_writer import RulesWriter
from data_prep.synthesis.question_writers.writer import FEW_SHOT, RULES, Writer, Writing


def make_writer(writing: Writing, calls: Path) -> Writer:
    """The writer, with the journal of its calls."""
    if writing.writer == RULES:
        return RulesWriter(writing.pairs, writing.seed)
    assert writing.endpoint is not None
    prompt = (
        FewShotPrompt(load_examples(writing.examples), writing.shots)
        if writing.writer == FEW_SHOT
        else InstructedPrompt()
    )
    return LlmWriter(writing.endpoint, calls, prompt=prompt, pairs=writing.pairs, seed=writing.seed)
