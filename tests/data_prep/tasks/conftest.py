"""The corpora's own layouts and the chat server serve the tasks too."""

import sys
from pathlib import Path

for room in ("corpora", "llm"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))
