"""python -m sift_jax.compare runs/a/eval runs/b/eval … --out=runs/comparison

Writes compare.html, compare.md and compare.json: evaluations side by side, the papers' figures
beside them in grey; of two evaluations also which questions flipped.
"""

from collections.abc import Sequence

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug


def make_parser() -> Parser:
    """Which evaluations, and where the comparison goes."""
    parser = Parser(
        "sift_jax.compare",
        description="Compares evaluations side by side, and with the papers' figures.",
        examples=("runs/a/eval runs/b/eval --out=runs/comparison",),
    )
    parser.add_argument(
        "runs",
        nargs="+",
        help="folders that python -m sift_jax.evaluate wrote; the first is the base",
    )
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument(
        "--samples", type=int, default=2000, help="draws behind intervals and permutation tests"
    )
    parser.add_argument("--seed", type=int, default=0, help="of these draws")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the comparison, and says where."""
    flags = make_parser().parse_intermixed_args(arguments)

    def run() -> None:
        from sift_jax.evaluation.report.comparison import make_comparison
        from sift_jax.evaluation.report.comparison_page import format_comparison, write_comparison
        from sift_jax.evaluation.scores.bootstrap import BootstrapConfig

        bootstrap = BootstrapConfig(samples=flags.samples, confidence=0.95, seed=flags.seed)
        comparison = make_comparison(flags.runs, bootstrap)
        page = write_comparison(comparison, flags.out)
        print(format_comparison(comparison))
        print(f"comparison: {page}")

    report_errors(run, is_debug=is_debug(flags))


if __name__ == "__main__":
    main()
