"""The items made by hand serve the tests beside this one, and those of the judges."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
