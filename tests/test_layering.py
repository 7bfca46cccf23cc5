"""The rooms of the house: who may import whom, read from the syntax tree."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"jax", "flax", "optax", "orbax", "tensorflow", "tensorflow_datasets", "seqio", "gin", "clu"}
TENSORFLOW = {"tensorflow", "tensorflow_datasets", "seqio", "gin", "clu"}

# longest prefix wins; a module may import its own room and those listed, and nothing else of sift_jax
MAY_IMPORT = {
    "sift_jax.batch": (),
    "sift_jax.endpoints": (),
    "sift_jax.pages": (),
    "sift_jax.audio": (),
    "sift_jax.quiet": (),
    "sift_jax.data": ("audio", "batch", "quiet"),
    # SeqIO's view of the scores
    "sift_jax.data.metric_fns": ("data", "evaluation.items", "evaluation.judges.offline", "evaluation.scores"),
    "sift_jax.parallel": (),
    "sift_jax.models": ("parallel", "batch"),
    "sift_jax.units": ("models", "audio", "batch"),
    "sift_jax.units.__main__": ("exits", "units"),
    # a run like training.loop, over another network; checkpoints, metrics and stopping are those of all runs
    "sift_jax.units.training": ("models", "audio", "parallel", "training"),
    "sift_jax.training": ("models", "parallel", "batch"),
    "sift_jax.training.run_lock": ("parallel", "folder_lock"),
    "sift_jax.training.loop": (
        "models",
        "parallel",
        "batch",
        "data",
        "audio",
        "weights.load",
        "weights.spare_rows",
        "decoding",
    ),
    "sift_jax.training.vocabulary": ("models", "data", "training.checkpoint"),
    "sift_jax.training.wandb_board": ("endpoints",),
    "sift_jax.training.samples": ("batch", "audio", "data.tokenizers"),
    "sift_jax.decoding": (
        "models",
        "parallel",
        "batch",
        "audio",
        "training.checkpoint",
        "weights.load",
        "weights.hub",
        "data.chat",
        "data.tokenizers",
        "data.packing",
        "data.speaking",
        "data.unit_ids",
        "units",
    ),
    "sift_jax.weights": ("models", "parallel", "batch", "training.checkpoint"),
    "sift_jax.weights.hub": ("endpoints",),
    "sift_jax.weights.history": ("data.mixture_table",),
    "sift_jax.weights.spare_rows": ("models", "parallel", "data.unit_ids"),
    "sift_jax.weights.export": (
        "models",
        "parallel",
        "batch",
        "training.checkpoint",
        "decoding",
        "data.tokenizers",
        "data.unit_ids",
        "data.chat",
    ),
    "sift_jax.weights.formats": (
        "models",
        "parallel",
        "batch",
        "training.checkpoint",
        "decoding",
        "data.tokenizers",
        "data.unit_ids",
        "data.chat",
    ),
    "sift_jax.evaluation": (
        "models",
        "parallel",
        "batch",
        "data",
        "audio",
        "decoding",
        "endpoints",
        "pages",
        "training",
        "weights.load",
    ),
    # runs are processes of their own: it reads what they leave
    "sift_jax.sweeps": ("evaluation", "pages"),
    "sift_jax.exits": ("parallel",),
    "sift_jax.cli": ("exits", "quiet", "gin_files", "gin_statements", "older_configs", "parallel"),
    "sift_jax.gin_files": (),
    "sift_jax.gin_statements": ("gin_files",),
    "sift_jax.older_configs": (),
    "sift_jax.ranges": (),
    "sift_jax.folder_lock": (),
    "sift_jax.train": ("cli",),
    "sift_jax.train_vocoder": ("cli",),
    "sift_jax.evaluate": ("cli",),
    "sift_jax.judge": ("cli",),
    "sift_jax.sweep": ("cli",),
    "sift_jax.ask": ("exits", "audio", "data.chat", "decoding"),
    "sift_jax.speak": ("exits", "data.speaking", "decoding"),
    "sift_jax.export": ("exits", "decoding", "weights"),
    "sift_jax.import_weights": ("exits", "weights"),
    "sift_jax.compare": ("exits", "evaluation"),
    "data_prep.generation": (
        "audio",
        "data.fields",
        "data.labels",
        "data.sift_files",
        "units.codec",
        "evaluation.items",
        "evaluation.scores",
    ),
    "data_prep": (
        "folder_lock",
        "audio",
        "endpoints",
        "pages",
        "data.clips",
        "data.fields",
        "data.records",
        "data.sift_files",
        "data.labels",
        "data.tokenizers",
        "data.unit_ids",
        "data.unit_sets",
        "models.hub_config",
        "models.hubert",
        "models.hubert_files",
        "models.whisper_decoder",
        "units",
        "weights.whisper",
        "weights.hub",
    ),
}
# run on machines that have only jax, flax, optax and orbax: free of TensorFlow through everything that they import
WITHOUT_TENSORFLOW = (
    "sift_jax.batch",
    "sift_jax.audio",
    "sift_jax.models",
    "sift_jax.parallel",
    "sift_jax.units",
    "sift_jax.decoding",
    "sift_jax.weights",
    "sift_jax.training.step",
    "sift_jax.training.state",
    "sift_jax.training.optimizer",
    "sift_jax.training.losses",
    "sift_jax.training.checkpoint",
    # tasks over records are planned and read without tf.data; only tasks with a source of their own need it
    "sift_jax.data.pipeline",
)


def name_module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_module(p): p for room in ("sift_jax", "data_prep") for p in sorted((ROOT / room).rglob("*.py"))}


def is_in(module, room):
    return module == room or module.startswith(room + ".")


@cache
def read_imports(module):
    """(name, whether it runs when the module is imported) of everything that it imports."""
    tree = ast.parse(FILES[module].read_text())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def is_at_top(node):
        while (node := parents.get(node)) is not None:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                return False
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                return False
        return True

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, is_at_top(node)) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative imports hide who imports whom; write the whole name"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.append((whole if whole in FILES else node.module, is_at_top(node)))
    return found


def rule_of(module):
    rooms = [room for room in MAY_IMPORT if is_in(module, room)]
    assert rooms, f"{module} is in no room of tests/test_layering.py; say there what it may import"
    return max(rooms, key=len)


@pytest.mark.parametrize("module", [m for m in FILES if m != "sift_jax"])
def test_nothing_points_up(module):
    room = rule_of(module)
    allowed = [f"sift_jax.{name}" for name in MAY_IMPORT[room]] + [".".join(room.split(".")[:2])]
    # what a config may hold, wherever the config is
    allowed.append("sift_jax.ranges")
    if is_in(room, "data_prep"):
        allowed = [*allowed, "data_prep"]
    own = [name for name, _ in read_imports(module) if is_in(name, "sift_jax") or is_in(name, "data_prep")]
    wrong = sorted({name for name in own if not any(is_in(name, other) for other in allowed)})
    assert not wrong, f"{module} may import {allowed}, not {wrong}"


def test_gin_stays_in_the_command_line():
    users = {m for m in FILES if any(name.split(".")[0] == "gin" for name, _ in read_imports(m))}
    assert users == {"sift_jax.cli"}


def test_audio_and_batch_know_no_framework():
    for module in FILES:
        if is_in(module, "sift_jax.audio") or is_in(module, "sift_jax.batch"):
            assert not {name.split(".")[0] for name, _ in read_imports(module)} & FRAMEWORKS, module


def test_flax_stays_in_models():
    """flax.traverse_util is a dictionary's tool; modules are written in models alone."""
    for module in FILES:
        names = {name for name, _ in read_imports(module) if is_in(name, "flax") and name != "flax.traverse_util"}
        assert not names or is_in(module, "sift_jax.models"), f"{module} imports {names}"


def reach(module):
    """Every module that importing this one imports, with the way there."""
    ways, waiting = {module: [module]}, [module]
    while waiting:
        here = waiting.pop()
        packages = [here.rsplit(".", n)[0] for n in range(1, here.count(".") + 1)]
        names = [name for name, is_at_top in read_imports(here) if is_at_top] + packages if here in FILES else []
        for name in names:
            if name not in ways:
                ways[name] = [*ways[here], name]
                waiting += [name] if name in FILES else []
    return ways


@pytest.mark.parametrize("module", [m for m in FILES if any(is_in(m, room) for room in WITHOUT_TENSORFLOW)])
def test_the_model_side_runs_without_tensorflow(module):
    for name, way in reach(module).items():
        assert name.split(".")[0] not in TENSORFLOW, " → ".join(way)


@pytest.mark.parametrize("module", [m for m in FILES if is_in(m, "data_prep")])
def test_data_prep_starts_without_tensorflow(module):
    for name, way in reach(module).items():
        assert name.split(".")[0] not in TENSORFLOW, " → ".join(way)


def test_the_rules_see_what_they_forbid():
    assert ("sift_jax.data.records", False) in read_imports("data_prep.stages.records")
    assert "tensorflow" in reach("sift_jax.data.mixtures") and "seqio" in reach("sift_jax.data.tasks")


def test_tensorflow_stays_out_of_the_process():
    program = (
        "import sys, sift_jax.decoding.answer, sift_jax.training.step, sift_jax.weights.export\n"
        f"print(sorted({TENSORFLOW!r} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_processes_are_started_in_few_places():
    """Those that CONTRIBUTING.md names; elsewhere it is the engine's business."""
    starters = set()
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if module.startswith("data_prep") and {name.split(".")[0] for name in names} & {"multiprocessing",
                                                                                            "subprocess"}:
                starters.add(module)
    assert starters == {"data_prep.crew", "data_prep.validate", "data_prep.released.packer",
                        "data_prep.corpora.decode", "data_prep.evalsift"}


@pytest.mark.parametrize("module", FILES)
def test_modules_stay_readable(module):
    lines = FILES[module].read_text().splitlines()
    assert len(lines) <= 300, f"{module} has {len(lines)} lines; split it"
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and module != "sift_jax.training.loop":
            length = node.end_lineno - node.lineno + 1
            assert length <= 60, f"{module}.{node.name} has {length} lines; split it"
