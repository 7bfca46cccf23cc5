"""What the TPU's own compiler makes of a config's step: memory, products, collectives, time.

    python -m benchmarks.compiled_step --gin_file=configs/stage1.gin --gin_file=configs/hardware/v5e_64.gin
    --gin.BATCH_ROWS=64 --gin.POSITIONS=2560 --gin.MICROBATCHES=1 --topology=v5e:8x8
    --name="v5e-64, stage 1" --out=benchmarks/compiled/v5e_64_stage1.json
    python -m benchmarks.compiled_step --table=benchmarks/compiled      the table of all such files

No TPU is needed, but libtpu (the extra tpu_compile). A step of the 7B model takes one to four minutes
of CPU time. Nothing is measured on a device: bytes and operations are facts of the program, and the
time is what the compiler expects of it without custom kernels, and what waits for links.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

GB, TERA, MS = 1e9, 1e12, 1e3
HEAD = (
    "| config | device, mesh d × f × t | sequences, pieces | memory | products, recomputed | "
    "collectives, synchronous | work | waiting | MFU at most | commit |"
)


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compiles a step for a TPU that is not there.")
    parser.add_argument("--gin_file", action="append", default=[], help="as for sift_jax.train")
    parser.add_argument("--gin", action="append", default=[], metavar="NAME=VALUE", help="a knob")
    parser.add_argument("--topology", help="v5e:8x8, v6e:2x4 …")
    parser.add_argument("--name", help="what the table calls it; else the files' names")
    parser.add_argument("--out", type=Path, help="a JSON file of everything that was read")
    parser.add_argument("--table", type=Path, help="print the table of a folder of such files")
    return parser.parse_args()


def compile_config(flags: argparse.Namespace) -> dict[str, Any]:
    """The figures of one config."""
    from sift_jax.compiled.topologies import prepare_to_compile

    prepare_to_compile(flags.topology)
    from sift_jax.cli import build_arguments, import_quietly, read_binding
    from sift_jax.compiled.topologies import open_topology
    from sift_jax.training.compiled_report import compile_job, count_model_operations, name_kernels
    from sift_jax.training.job import JobConfigs, describe_job

    train = import_quietly("sift_jax.training.loop").train
    arguments = build_arguments(train, flags.gin_file, [read_binding(word) for word in flags.gin])
    arguments.pop("evaluator", None)
    job = describe_job(JobConfigs(**arguments), devices=open_topology(flags.topology))
    found = compile_job(job)
    devices = job.mesh.devices.size
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "name": flags.name or " + ".join(Path(path).stem for path in flags.gin_file),
        "gin_files": flags.gin_file,
        "knobs": flags.gin,
        "topology": flags.topology,
        "device": found.device_kind,
        "mesh": dict(job.mesh.shape),
        "rows": job.data.rows,
        "positions": job.data.tokens,
        "microbatches": job.run.microbatches,
        "attention": name_kernels(job, found.shape),
        # of full rows, on a device
        "model_operations": count_model_operations(job, found.shape) / devices,
        "peak": found.figures.teraflops * TERA if found.figures else None,
        "memory_has": found.figures.memory_gb * GB if found.figures else None,
        "step": found.step.describe(),
        "commit": name_commit(),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def name_commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short=7", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def format_row(found: dict[str, Any]) -> str:
    """A line of the table."""
    step, mesh = found["step"], found["mesh"]
    whole = sum(row["bytes"] for row in step["collectives"])
    waited = sum(row["synchronous_bytes"] for row in step["collectives"])
    time = step["time"]
    work = f"{time['work'] * MS:.0f} ms" if time else "–"
    waiting = f"{time['exposed'] * MS:.0f} ms" if time else "–"
    share = "–"
    if time and found["peak"]:
        total = time["work"] + time["exposed"]
        share = f"{100 * found['model_operations'] / total / found['peak']:.0f} %"
    cells = [
        found["name"],
        f"{found['device']}, {mesh['data']} × {mesh['fsdp']} × {mesh['tensor']}",
        f"{found['rows']} × {found['positions']}, {found['microbatches']}",
        f"{step['memory']['total'] / GB:.2f} of {found['memory_has'] / GB:.0f} GB",
        f"{step['operations'] / TERA:.1f} TFLOP, {100 * step['recomputed_share']:.0f} %",
        f"{whole / GB:.2f} GB, {waited / GB:.2f} GB",
        work,
        waiting,
        share,
        found["commit"],
    ]
    return f"| {' | '.join(cells)} |"


def format_table(folder: Path) -> str:
    files = sorted(folder.glob("*.json"))
    rows = [format_row(json.loads(path.read_text(encoding="utf-8"))) for path in files]
    return "\n".join([HEAD, "|" + " --- |" * HEAD.count(" | ") + " --- |", *rows])


def main() -> None:
    flags = parse_flags()
    if flags.table:
        print(format_table(flags.table))
        return
    if not (flags.gin_file and flags.topology):
        raise SystemExit("error: give --gin_file and --topology, or --table")
    found = compile_config(flags)
    print(HEAD)
    print(format_row(found))
    if flags.out:
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        flags.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
