"""The rooms of the house: who may import whom, read from the syntax tree."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {
    "jax",
    "flax",
    "optax",
    "orbax",
    "tensorflow",
    "tensorflow_datasets",
    "seqio",
    "gin",
    "clu",
}
TENSORFLOW = {"tensorflow", "tensorflow_datasets", "seqio", "gin", "clu"}

# A module may import its own room and those listed, and nothing else of ours; the longest prefix
# wins. What any room may import: what the fields of a config may hold, and what a command line says
# beside them.
EVERYWHERE = (
    "sift_jax.extras",
    "sift_jax.version",
    "sift_jax.field_ranges",
    "sift_jax.launch",
    "sift_jax.progress",
    "sift_jax.storage.whole_files",
)
SPEECH_LM = ("batch", "models", "parallel")
MAY_IMPORT = {
    # --- below all: no framework, nothing of ours
    "sift_jax.batch": (),
    "sift_jax.launch": (),
    "sift_jax.field_ranges": (),
    "sift_jax.quiet": (),
    "sift_jax.extras": (),
    "sift_jax.version": (),
    "sift_jax.progress": (),
    "sift_jax.storage": (),
    "sift_jax.corpora": (),
    "sift_jax.endpoints": (),
    "sift_jax.pages": (),
    "sift_jax.shipped": (),
    "sift_jax.audio": ("shipped",),
    "sift_jax.sift": (),
    # a tokenizer may be on the hub
    "sift_jax.text": ("endpoints",),
    # --- the model
    "sift_jax.parallel": (),
    # programs as the devices' compilers made them
    "sift_jax.compiled": ("parallel", "quiet"),
    "sift_jax.models": ("batch", "parallel"),
    "sift_jax.checkpoints": (*SPEECH_LM, "storage"),
    "sift_jax.weights": (*SPEECH_LM, "checkpoints", "endpoints", "text"),
    "sift_jax.pretrained": (*SPEECH_LM, "checkpoints", "endpoints", "shipped", "text", "weights"),
    "sift_jax.exporting": (
        *SPEECH_LM,
        "data.tasks.mixture_table",
        "endpoints",
        "pretrained",
        "text",
        "weights",
    ),
    # --- the data
    "sift_jax.data": ("audio", "batch", "quiet", "sift", "text"),
    # what SeqIO's tasks are scored by
    "sift_jax.data.tasks": ("data.records", "evaluation.scores", "sift", "text"),
    # --- units of speech
    "sift_jax.codecs": ("audio", "models", "parallel"),
    "sift_jax.vocoder_training": (
        "audio",
        "checkpoints",
        "codecs",
        "parallel",
        "training.metrics",
        "training.preemption",
    ),
    "sift_jax.units": ("audio", "codecs", "exits", "flags", "vocoder_training"),
    # --- runs
    "sift_jax.training": (
        *SPEECH_LM,
        "audio",
        "checkpoints",
        "compiled",
        "data",
        "endpoints",
        "text",
        "weights",
    ),
    "sift_jax.decoding": (
        *SPEECH_LM,
        "audio",
        "codecs",
        "data.row_layout",
        "pretrained",
        "sift",
        "text",
    ),
    "sift_jax.evaluation": (
        *SPEECH_LM,
        "audio",
        "checkpoints",
        "corpora",
        "data",
        "decoding",
        "endpoints",
        "pages",
        "pretrained",
        "sift",
        "text",
        "training",
    ),
    "sift_jax.evaluation.scores": ("sift", "text"),
    "sift_jax.rewarding": (
        *SPEECH_LM,
        "audio",
        "checkpoints",
        "data",
        "decoding",
        "evaluation.judges",
        "evaluation.report",
        "evaluation.scores",
        "pages",
        "pretrained",
        "sift",
        "text",
        "training",
        "weights",
    ),
    # its runs are processes of their own: it resolves their configs as they will, and reads what
    # they leave
    "sift_jax.sweeps": (
        "cli",
        "config_files",
        "evaluation.report",
        "evaluation.scores",
        "pages",
    ),
    # --- commands
    "sift_jax.exits": ("parallel",),
    "sift_jax.flags": (),
    "sift_jax.gin_flags": ("config_files", "flags"),
    "sift_jax.commands": ("flags",),
    "sift_jax.completion": ("commands", "flags"),
    "sift_jax.__main__": ("commands", "completion", "exits", "flags"),
    "sift_jax.config_files": (),
    "sift_jax.config_statements": ("config_files",),
    "sift_jax.config_errors": ("flags",),
    "sift_jax.older_configs": (),
    "sift_jax.human_eval": (
        "audio",
        "evaluation.report",
        "evaluation.scores",
        "exits",
        "flags",
        "pages",
    ),
    # its steps are processes of their own
    "sift_jax.recipes": (),
    "sift_jax.laptop": ("exits", "flags", "recipes"),
    "sift_jax.quickstart": (
        "evaluation.report",
        "evaluation.scores",
        "exits",
        "flags",
        "pages",
        "recipes",
    ),
    "sift_jax.cli": (
        "compiled.topologies",
        "config_errors",
        "config_files",
        "config_statements",
        "exits",
        "flags",
        "gin_flags",
        "older_configs",
        "parallel",
        "quiet",
    ),
    "sift_jax.train": ("cli", "flags", "gin_flags"),
    "sift_jax.reward": ("cli", "flags", "gin_flags"),
    "sift_jax.make_pairs": ("cli", "flags", "gin_flags"),
    "sift_jax.train_vocoder": ("cli", "flags", "gin_flags"),
    "sift_jax.evaluate": ("cli", "flags", "gin_flags"),
    "sift_jax.judge": ("cli", "flags", "gin_flags"),
    "sift_jax.sweep": ("cli", "flags", "gin_flags"),
    "sift_jax.speech_model": ("audio", "codecs", "decoding", "pretrained", "shipped", "text"),
    "sift_jax.previews": (
        "audio",
        "batch",
        "checkpoints",
        "cli",
        "data",
        "evaluation.report",
        "models",
        "pages",
        "text",
        "training",
    ),
    "sift_jax.preview": ("cli", "exits", "flags", "gin_flags", "previews", "storage"),
    "sift_jax.replay": ("cli", "exits", "flags", "gin_flags", "previews", "storage"),
    "sift_jax.ask": ("decoding", "exits", "flags", "shipped", "speech_model"),
    "sift_jax.speak": (
        "decoding",
        "exits",
        "flags",
        "pretrained",
        "sift",
        "speech_model",
    ),
    "sift_jax.serving": (
        "audio",
        "codecs",
        "decoding",
        "endpoints",
        "flags",
        "pretrained",
        "shipped",
        "text",
    ),
    "sift_jax.serve": ("exits", "flags", "serving", "shipped"),
    "sift_jax.export": ("exits", "exporting", "flags", "pretrained"),
    "sift_jax.packing": (
        "checkpoints.checksums",
        "evaluation.report",
        "evaluation.scores",
        "exporting",
        "pretrained",
        "shipped",
        "sift",
        "speech_model",
        "sweeps.provenance",
    ),
    "sift_jax.pack": ("exits", "flags", "packing", "shipped"),
    "sift_jax.import_weights": ("exits", "flags", "weights"),
    "sift_jax.compare": ("evaluation", "exits", "flags"),
    # --- making data
    "data_prep": (
        "audio",
        "codecs",
        "corpora",
        "data.records",
        "endpoints",
        "exits",
        "flags",
        "models.hf_config",
        "models.whisper_decoder",
        "pages",
        "sift",
        "storage",
        "text",
        "weights.whisper",
    ),
    # a model of ours writes there
    "data_prep.self_answer": (
        "checkpoints",
        "decoding",
        "endpoints",
        "exits",
        "flags",
        "models",
        "pretrained",
        "sift",
        "text",
        "weights",
    ),
    "data_prep.generation": (
        "audio",
        "codecs",
        "evaluation.scores",
        "exits",
        "flags",
        "pages",
        "sift",
    ),
}
# where networks are written in flax
NETWORKS = ("sift_jax.models", "sift_jax.codecs", "sift_jax.vocoder_training")
# run on machines that have only jax, flax, optax and orbax: free of TensorFlow through everything
# that they import
WITHOUT_TENSORFLOW = (
    "sift_jax.batch",
    "sift_jax.audio",
    "sift_jax.models",
    "sift_jax.parallel",
    "sift_jax.compiled",
    "sift_jax.checkpoints",
    "sift_jax.weights",
    "sift_jax.pretrained",
    "sift_jax.exporting",
    "sift_jax.codecs",
    "sift_jax.units",
    "sift_jax.decoding",
    "sift_jax.speech_model",
    "sift_jax.serving",
    "sift_jax.text",
    "sift_jax.training.step",
    "sift_jax.training.optimizer",
    "sift_jax.training.losses",
    # tasks over records are planned and read without tf.data; only tasks with a source of their own
    # need it
    "sift_jax.data.batch_stream",
)


def name_module(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# what exports bring along for PyTorch: files that are copied, and import each other as transformers
# finds them there
REMOTE_CODE = ROOT / "sift_jax" / "exporting" / "remote_code"
FILES = {
    name_module(p): p
    for room in ("sift_jax", "data_prep")
    for p in sorted((ROOT / room).rglob("*.py"))
    if p.parent != REMOTE_CODE
}


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
            assert not node.level, (
                f"{module}: relative imports hide who imports whom; write the whole name"
            )
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
    allowed += EVERYWHERE
    if is_in(room, "data_prep"):
        allowed = [*allowed, "data_prep"]
    own = [
        name
        for name, _ in read_imports(module)
        if is_in(name, "sift_jax") or is_in(name, "data_prep")
    ]
    wrong = sorted({name for name in own if not any(is_in(name, other) for other in allowed)})
    assert not wrong, f"{module} may import {allowed}, not {wrong}"


def list_circles(edges):
    """Strongly connected sets of more than one, by Tarjan's algorithm."""
    number, lowest, stack, circles = {}, {}, [], []

    def visit(node):
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == number[node]:
            place = stack.index(node)
            circle = stack[place:]
            del stack[place:]
            if len(circle) > 1:
                circles.append(sorted(circle))

    for node in edges:
        if node not in number:
            visit(node)
    return circles


def test_a_circle_is_found():
    assert list_circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}) == [["b", "c"]]


def list_edges():
    """(module, module that it imports), also inside functions and for type checkers."""
    return [(m, name) for m in FILES for name, _ in read_imports(m) if name in FILES and name != m]


def test_no_file_imports_itself_by_others():
    edges = {}
    for module, other in list_edges():
        edges.setdefault(module, []).append(other)
    assert list_circles(edges) == []


def test_no_package_imports_itself_by_others():
    """A package and one inside it are one room: contract at its top, a kind each below, a registry
    of all kinds."""
    edges = {}
    for pair in list_edges():
        here, there = (m if FILES[m].name == "__init__.py" else m.rpartition(".")[0] for m in pair)
        if here != there and not is_in(here, there) and not is_in(there, here):
            edges.setdefault(here, []).append(there)
    assert list_circles(edges) == []


def test_the_code_of_exports_is_imported_by_nobody_and_imports_nothing_of_ours():
    others = {name for module in FILES for name, _ in read_imports(module)}
    assert not [name for name in others if is_in(name, "sift_jax.exporting.remote_code")]
    names = set()
    for path in REMOTE_CODE.glob("*_sift.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    assert names - set(sys.stdlib_module_names) == {"numpy", "torch", "transformers"}


def test_gin_stays_in_the_command_line():
    users = {m for m in FILES if any(name.split(".")[0] == "gin" for name, _ in read_imports(m))}
    assert users == {"sift_jax.cli"}


def test_audio_and_batch_know_no_framework():
    for module in FILES:
        if is_in(module, "sift_jax.audio") or is_in(module, "sift_jax.batch"):
            assert not {name.split(".")[0] for name, _ in read_imports(module)} & FRAMEWORKS, module


def test_flax_stays_in_networks():
    """flax.traverse_util is a dictionary's tool; modules are written where networks are."""
    for module in FILES:
        names = {
            name
            for name, _ in read_imports(module)
            if is_in(name, "flax") and name != "flax.traverse_util"
        }
        assert not names or any(is_in(module, room) for room in NETWORKS), (
            f"{module} imports {names}"
        )


def reach(module):
    """Every module that importing this one imports, with the way there."""
    ways, waiting = {module: [module]}, [module]
    while waiting:
        here = waiting.pop()
        packages = [here.rsplit(".", n)[0] for n in range(1, here.count(".") + 1)]
        names = (
            [name for name, is_at_top in read_imports(here) if is_at_top] + packages
            if here in FILES
            else []
        )
        for name in names:
            if name not in ways:
                ways[name] = [*ways[here], name]
                waiting += [name] if name in FILES else []
    return ways


@pytest.mark.parametrize(
    "module", [m for m in FILES if any(is_in(m, room) for room in WITHOUT_TENSORFLOW)]
)
def test_the_model_side_runs_without_tensorflow(module):
    for name, way in reach(module).items():
        assert name.split(".")[0] not in TENSORFLOW, " → ".join(way)


@pytest.mark.parametrize("module", [m for m in FILES if is_in(m, "data_prep")])
def test_data_prep_starts_without_tensorflow(module):
    for name, way in reach(module).items():
        assert name.split(".")[0] not in TENSORFLOW, " → ".join(way)


def test_the_rules_see_what_they_forbid():
    assert ("sift_jax.data.records.record_writer", False) in read_imports(
        "data_prep.pipeline.record_stage"
    )
    assert "tensorflow" in reach("sift_jax.data.mixtures") and "seqio" in reach(
        "sift_jax.data.tasks.seqio_tasks"
    )


def test_tensorflow_stays_out_of_the_process():
    program = (
        "import sys, sift_jax.decoding.text_answers, sift_jax.training.step, "
        "sift_jax.exporting.export\n"
        f"print(sorted({TENSORFLOW!r} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_processes_are_started_in_few_places():
    """Those that CONTRIBUTING.md names; elsewhere it is the engine's business."""
    starters = set()
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if module.startswith("data_prep") and {name.split(".")[0] for name in names} & {
                "multiprocessing",
                "subprocess",
            }:
                starters.add(module)
    assert starters == {
        "data_prep.engine.interrupts",
        "data_prep.engine.process_pool",
        "data_prep.validate",
        "data_prep.released.parallel_packer",
        "data_prep.pipeline.decode",
        "data_prep.evalsift",
    }
