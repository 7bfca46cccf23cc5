"""The inputs and servers of the clients' own tests serve here too."""

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
for room in (
    "data_prep/llm",
    "data_prep/corpora",
    "data_prep/instructions",
    "data_prep/synthesis",
    "evaluation/judges",
    "evaluation/scores",
    "weights",
):
    sys.path.append(str(_TESTS / room))
