"""python tests/refresh_golden.py: writes the resolved text of every run under configs/ anew, and a
part of what each stage of a build makes; look at the difference."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent / "support"))

from golden_stages import write_golden
from resolve_configs import GOLDEN, golden_path, list_runs, resolve


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    wanted = {golden_path(name): resolve(name)[1] for name in list_runs()}
    for path in set(GOLDEN.glob("*.gin")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    with tempfile.TemporaryDirectory() as folder:
        write_golden(Path(folder) / "build")
    print(f"{len(wanted)} files and stages.json in {GOLDEN}")


if __name__ == "__main__":
    main()
