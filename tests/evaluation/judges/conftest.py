"""The items made by hand for the scores serve here too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "scores"))
