"""Figures of compiled steps: the table of the documentation is that of the files, and a kernel's
schedule is read."""

from pathlib import Path

import pytest

from benchmarks.compiled_step import format_table
from benchmarks.kernel_bundles import measure_seen, read_bundles

ROOT = Path(__file__).parents[2]

# a loop of 0x10 … 0x60: a body of 0x20, two ends of 8 and 4, a copy of 2 that runs in every turn
SCHEDULE = """
   0x10 LB: > { %s1 = sadd }
   0x12   : > { %1 = sbr.rel (%p1) target = $region1 }
   0x1a PF: > { %s2 = sld }
   0x20   : > { %2 = sbr.rel (%p2) target = $region2 }
   0x40 PF: > { %s3 = sld }
   0x42   : > { %3 = sbr.rel (%p3) target = $region3 }
   0x46 PF: > { %s4 = sld }
   0x50   : > { %4 = sbr.rel (%p4) target = $region4 }
   0x52 PF: > { %s5 = sld }
   0x60   : > { %p5 = scmp.ge.s32 /* loop exit test */ }
   0x61   : > { %5 = sbr.rel (%p5) target = $region5 } /* loop exit */
"""


def test_the_table_of_the_documentation_is_that_of_the_files():
    page = (ROOT / "docs" / "research" / "benchmarks.md").read_text(encoding="utf-8")
    for line in format_table(ROOT / "benchmarks" / "compiled").splitlines():
        assert line in page, "python -m benchmarks.compiled_step --table=benchmarks/compiled"


def test_bundles_of_a_loop_and_of_what_a_branch_skips():
    found = read_bundles(SCHEDULE)
    assert (found.body, found.ends, found.common) == (0x20, 8 + 4, 0x50 - 0x20 - 12)
    # two heads of 3 × 3 blocks, a third of them seen
    assert found.count_cycles(heads=2, blocks=3, seen=1 / 3) == pytest.approx(
        18 * found.common + 6 * 0x20 + 6 * 12
    )
    # where nothing else is visited
    assert found.count_cycles(heads=2, blocks=3, seen=1 / 3, visited=1 / 3) == pytest.approx(
        6 * (found.common + 0x20) + 6 * 12
    )


def test_a_loop_without_a_known_length_ends_with_the_program():
    open_end = SCHEDULE.replace("loop exit test", "").replace("/* loop exit */", "")
    found = read_bundles(open_end)
    assert (found.body, found.ends, found.common) == (0x20, 8 + 4, 0x51 - 0x20 - 12)


def test_larger_blocks_are_seen_more_often():
    shares = [measure_seen(1024, block, rows=4) for block in (128, 256, 512)]
    assert 0 < shares[0] < shares[1] < shares[2] < 1
    # a row that is lengthened to whole blocks
    assert 0 < measure_seen(896, 512, rows=2) < 1
