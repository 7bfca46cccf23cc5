"""The recipe: which commands, in which order, and about how long each takes."""

from sift_jax.recipes.run import Step

RUN = "runs/quickstart"


def _train(name: str) -> tuple[str, ...]:
    return ("sift_jax.train", f"--gin_file=configs/quickstart/{name}.gin")


_DATA, _SPOKEN, _ITEMS = f"{RUN}/data", f"{RUN}/generation", f"{RUN}/generation/items.jsonl"
_EMBEDDED = ("--corpus=embedded", "--train=1000", "--wordings=2", "--plain")

STEPS = (
    Step(
        name="data",
        title="build a corpus of five languages, spoken by a synthesizer, and its instructions",
        minutes=5,
        commands=(
            ("data_prep.build", *_EMBEDDED, "--rows_per_utterance=6", f"--out={_DATA}"),
            (
                "data_prep.tokenizer",
                f"--sift={_DATA}/sift",
                f"--out={_DATA}/tokenizer",
                "--size=4096",
            ),
        ),
    ),
    Step(
        name="hear",
        title="train the encoder to hear pitch, loudness, rate, noise and room, as numbers",
        minutes=4,
        commands=(_train("hear"),),
    ),
    Step(
        name="name",
        title="train the decoder to name what is heard in five languages",
        minutes=1,
        commands=(_train("name"),),
    ),
    Step(
        name="stage1",
        title="stage 1: questions about recordings, everything trains",
        minutes=9,
        commands=(_train("stage1"),),
    ),
    Step(
        name="stage2",
        title="stage 2: instruction tuning of the projector and LoRA",
        minutes=2,
        commands=(_train("stage2"),),
    ),
    Step(
        name="ask",
        title="export the model, and ask it",
        minutes=0.5,
        commands=(
            ("sift_jax.export", f"--checkpoint={RUN}/stage2", f"--out={RUN}/export"),
            (
                "sift_jax.ask",
                f"--checkpoint={RUN}/export",
                "--audio={first " + RUN + "/data/audio/*_en_*.flac}",
                "How fast does she speak?",
            ),
        ),
    ),
    Step(
        name="evaluate",
        title="evaluate it on EvalSIFT, beside two baselines",
        minutes=3,
        commands=(("sift_jax.evaluate", "--gin_file=configs/quickstart/evaluate.gin"),),
    ),
    Step(
        name="stage3",
        title="stage 3: a second model learns to follow instructions when it speaks, in units of an embedded codec",
        minutes=7,
        commands=(
            (
                "sift_jax.units",
                "fit",
                f"--audio={_DATA}/metadata.jsonl",
                f"--out={RUN}/codec",
            ),
            ("data_prep.units", f"--records={_DATA}/records", f"--codec={RUN}/codec"),
            _train("stage3"),
        ),
    ),
    Step(
        name="speak",
        title="let it speak, and measure whether it followed the instructions",
        minutes=3,
        commands=(
            (
                "sift_jax.speak",
                f"--checkpoint={RUN}/stage3",
                "--text=The train to the coast leaves at noon.",
                "--style=very slowly, softly",
                f"--out={RUN}/speech.wav",
            ),
            (
                "data_prep.generation",
                "items",
                f"--build={_DATA}",
                f"--out={_ITEMS}",
                "--limit=30",
            ),
            (
                "data_prep.generation",
                "items",
                f"--build={_DATA}",
                f"--out={_SPOKEN}/sweep.jsonl",
                "--sweep",
                "--languages=en",
            ),
            (
                "sift_jax.speak",
                f"--checkpoint={RUN}/stage3",
                f"--items={_ITEMS}",
                "--samples=2",
                "--rows=32",
                f"--out={_SPOKEN}/spoken",
            ),
            (
                "sift_jax.speak",
                f"--checkpoint={RUN}/stage3",
                f"--items={_SPOKEN}/sweep.jsonl",
                f"--out={_SPOKEN}/swept",
            ),
            (
                "data_prep.generation",
                "resynthesize",
                f"--items={_ITEMS}",
                f"--codec={RUN}/codec",
                f"--build={_DATA}",
                f"--out={_SPOKEN}/ceiling",
            ),
            (
                "data_prep.generation",
                "score",
                f"--spoken={_SPOKEN}/spoken",
                f"--ceiling={_SPOKEN}/ceiling",
                f"--build={_DATA}",
                f"--out={_SPOKEN}/figures",
            ),
            (
                "data_prep.generation",
                "page",
                f"--spoken={_SPOKEN}/swept",
                f"--build={_DATA}",
                f"--out={_SPOKEN}/page.html",
            ),
        ),
    ),
)
