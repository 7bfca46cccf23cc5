"""The recipe: which commands, in which order, and about how long each takes.

mini LibriSpeech ─ tasks ─► recognition ─► warm start ─► stage 1 ─► word error rate on dev-clean-2
                 ─ build ─► SIFT rows ─────────────────► stage 2 ─► EvalSIFT ─► export, ask
"""

from sift_jax.recipes.run import Step

RUN = "runs/laptop"
_ROOT, _RECOGNITION, _DATA = f"{RUN}/corpora", f"{RUN}/recognition", f"{RUN}/data"
_RECORDING = "{first " + _ROOT + "/LibriSpeech/dev-clean-2/*/*/*.flac}"

# of both stages; a step is guessed to take so long on two cores
TRAINING_STEPS, _SECONDS_A_STEP = 1000, 6.0
# of the warm start
WARM_STEPS = 300


def _train(stage: str, steps: int, *more: str) -> tuple[str, ...]:
    command = ("sift_jax.train", f"--gin_file=configs/laptop/{stage}.gin")
    # those of the whole recipe are the configs' own, and so are its folders
    knobs = {"STEPS": steps, "WARMUP_STEPS": min(steps // 4, 30)}
    if steps == (WARM_STEPS if stage == "warm_start" else TRAINING_STEPS):
        knobs = {}
    return (*command, *(f"--gin.{name}={value}" for name, value in knobs.items()), *more)


def find_runs(training_steps: int) -> str:
    """Where the trained and what is made of it lie: of another number of steps in a folder of their
    own, so that neither run resumes the other."""
    return RUN if training_steps == TRAINING_STEPS else f"{RUN}/{training_steps}_steps"


def make_steps(training_steps: int = TRAINING_STEPS) -> tuple[Step, ...]:
    """The recipe, with so many steps of training in each stage."""
    if training_steps < 1:
        raise ValueError(f"--steps={training_steps}: give 1 or more")
    runs = find_runs(training_steps)
    warm = min(WARM_STEPS, training_steps)
    minutes = max(round(training_steps * _SECONDS_A_STEP / 60), 1)
    return (
        Step(
            name="download",
            title="download mini LibriSpeech (CC BY 4.0): 5 hours to train on, 2 hours of others",
            minutes=5,
            note="about 460 MB; the next training also downloads openai/whisper-base and "
            "HuggingFaceTB/SmolLM2-135M-Instruct from the hub, 560 MB together",
            commands=(("data_prep.download", "--corpus=mini_librispeech", f"--root={_ROOT}"),),
        ),
        Step(
            name="recognition",
            title="make the recognition task of it",
            minutes=3,
            commands=(
                (
                    "data_prep.tasks",
                    "--task=asr",
                    "--corpus=librispeech",
                    f"--root={_ROOT}",
                    f"--out={_RECOGNITION}",
                ),
            ),
        ),
        Step(
            name="warm_start",
            title="a warm start: the projector learns where the decoder has its words",
            minutes=max(round(warm * _SECONDS_A_STEP / 60), 1),
            commands=(_train("warm_start", warm, f"--gin.OUT_DIR={runs}/warm_start"),),
        ),
        Step(
            name="stage1",
            title="stage 1: the projector and LoRA learn to recognise speech",
            minutes=minutes,
            note="normal on an hour of speech: dev loss 3.0, 2.5 and 1.8, audio gain +2.3, +3.1 and "
            "+4.3 at steps 50, 100 and 300",
            commands=(
                _train(
                    "stage1",
                    training_steps,
                    f"--gin.OUT_DIR={runs}/stage1",
                    f"--gin.START_RUN={runs}/warm_start",
                    "--gin.ENCODER=None",
                    "--gin.DECODER=None",
                ),
            ),
        ),
        Step(
            name="recognise",
            title="word error rate on 100 recordings of speakers that training never had",
            minutes=5,
            commands=(
                (
                    "sift_jax.evaluate",
                    "--suite=librispeech",
                    f"--root={_ROOT}",
                    "--gin.SUBSETS=('dev_clean_2',)",
                    f"--checkpoint={runs}/stage1",
                    f"--out={runs}/recognised",
                    "--limit=100",
                    "--rows=8",
                    "--gin.MAX_NEW_TOKENS=96",
                    "--gin.TEMPERATURE=0.0",
                ),
            ),
        ),
        Step(
            name="build",
            title="measure the recordings, and write questions and answers about them",
            minutes=12,
            commands=(
                (
                    "data_prep.build",
                    "--corpus=librispeech",
                    f"--root={_ROOT}",
                    "--languages=en",
                    "--phonemes=espeak",
                    f"--out={_DATA}",
                ),
            ),
        ),
        Step(
            name="stage2",
            title="stage 2: instruction tuning",
            minutes=minutes,
            commands=(
                _train(
                    "stage2",
                    training_steps,
                    f"--gin.OUT_DIR={runs}/stage2",
                    f"--gin.START_RUN={runs}/stage1",
                ),
            ),
        ),
        Step(
            name="evaluate",
            title="EvalSIFT: 50 questions of each kind, beside the majority-class baseline",
            minutes=5,
            commands=(
                (
                    "sift_jax.evaluate",
                    "--suite=evalsift",
                    f"--root={_DATA}",
                    f"--checkpoint={runs}/stage2",
                    f"--out={runs}/evaluation",
                    "--limit=50",
                    "--rows=8",
                    f"--gin.DATA_DIR={_DATA}",
                    "--gin.MAX_NEW_TOKENS=64",
                    "--gin.TEMPERATURE=0.0",
                ),
            ),
        ),
        Step(
            name="ask",
            title="export the model, and ask it",
            minutes=1,
            commands=(
                ("sift_jax.export", f"--checkpoint={runs}/stage2", f"--out={runs}/export"),
                (
                    "sift_jax.ask",
                    f"--checkpoint={runs}/export",
                    f"--audio={_RECORDING}",
                    "Is the speaker a man or a woman, and how fast do they speak?",
                ),
            ),
        ),
    )
