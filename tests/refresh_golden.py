"""python tests/refresh_golden.py: writes the resolved text of every run under configs/ anew; look
at the difference."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from resolve_configs import GOLDEN, golden_path, list_runs, resolve


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    wanted = {golden_path(name): resolve(name)[1] for name in list_runs()}
    for path in set(GOLDEN.glob("*.gin")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    print(f"{len(wanted)} files in {GOLDEN}")


if __name__ == "__main__":
    main()
