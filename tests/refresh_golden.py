"""python tests/refresh_golden.py: writes the resolved text of every run under configs/ again, and a
part of what each stage of a build makes; look at the difference."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent / "support"))

from golden_stages import write_golden
from resolve_configs import GOLDEN, golden_path, list_runs, resolve


def write_collectives(folder: Path) -> None:
    """What eight chips send each other in a small step; only where the TPU's compiler is."""
    from sift_jax.extras import is_installed

    if not is_installed("libtpu"):
        print("the table of collectives stays as it is: libtpu is not installed")
        return
    from small_compiled_step import GOLDEN, describe_collectives, describe_small_job, format_golden
    from tiny_corpus import write_corpus

    from sift_jax.training.compiled_report import compile_job

    job = describe_small_job(write_corpus(folder / "tiny"), folder / "run")
    GOLDEN.write_text(format_golden(describe_collectives(compile_job(job).step)))


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    wanted = {golden_path(name): resolve(name)[1] for name in list_runs()}
    for path in set(GOLDEN.glob("*.gin")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    with tempfile.TemporaryDirectory() as folder:
        write_golden(Path(folder) / "build")
        write_collectives(Path(folder))
    print(f"{len(wanted)} files and stages.json in {GOLDEN}")


if __name__ == "__main__":
    main()
