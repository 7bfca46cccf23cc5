"""Requests through the server at 1, 4 and 16 clients, against the same requests one after another
through `generate` of transformers, with the same weights.

    python -m benchmarks.serving [--clients=1,4,16] [--requests=16] [--decoder=smollm2-135m|small|…]
    [--prompt=64] [--new=64] [--rounds=2] [--threads=2] [--no_theirs]

Random weights in the geometry of a real decoder, in float32 on both sides, greedy. Ours is the whole
way: a client's JSON over a socket, the template, slots, the answer's JSON; clients and server share
the process and its cores. Theirs is `generate` alone, on the same ids. All sides take turns, so
that another load on the machine slows all of them; what is compiled or loaded is outside. The
tokens of both are compared. Needs torch (`make parity` installs it), unless --no_theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.sides import take_cores

NAME = "random"


def parse_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times serving against transformers' generate.")
    parser.add_argument("--clients", default="1,4,16", help="numbers of clients at once")
    parser.add_argument("--requests", type=int, default=16, help="of each measurement")
    parser.add_argument(
        "--decoder", default="smollm2-135m", help="a preset's name, or small: 20M parameters"
    )
    parser.add_argument("--prompt", type=int, default=64, help="tokens, at least")
    parser.add_argument("--new", type=int, default=64, help="tokens")
    parser.add_argument("--slots", type=int, default=16, help="of the server")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each measurement")
    parser.add_argument("--threads", type=int, default=2, help="cores for both")
    parser.add_argument("--no_theirs", action="store_true", help="measure the server alone")
    return parser.parse_args()


def make_model(flags: argparse.Namespace):
    """Random weights, with a tokenizer of bytes: what is said does not matter."""
    import jax
    import numpy as np

    from benchmarks.decoding import make_ours
    from sift_jax.models.speech_lm import init_params
    from sift_jax.pretrained import Model
    from sift_jax.text.tokenizers import train_tokenizer

    few = argparse.Namespace(decoder=flags.decoder, rows=1, prompt=1)
    _, config, _, _ = make_ours(few)
    params = jax.jit(init_params, static_argnums=0)(config, jax.random.key(0))
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = train_tokenizer(["How fast does she speak?"] * 9, 300, folder)
    return Model(
        config=config, params=jax.tree.map(np.asarray, params), tokenizer=tokenizer, step=0
    )


def write_questions(flags: argparse.Namespace) -> list[str]:
    """As many, none of them like another; a letter is about a token."""
    return [f"{i:02d} " + "abcdefgh "[i % 7 :] * (flags.prompt // 5) for i in range(flags.requests)]


@contextlib.contextmanager
def start_server(model, flags: argparse.Namespace, *, positions: int) -> Iterator[tuple]:
    """(service, port) of a server in a thread of this process, for texts of so many positions."""
    from sift_jax.serving.limits import Limits
    from sift_jax.serving.run_server import Listening, Serving, make_application, open_socket

    limits = Limits(
        slots=flags.slots,
        queue=256,
        positions=positions,
        new_tokens=flags.new,
        body_bytes=1 << 20,
        body_seconds=600.0,
        send_seconds=600.0,
        kept_bytes=1 << 28,
    )
    application = make_application({NAME: model}, limits)
    (service,) = application.services.values()
    service.start(is_warm=False)
    bound = open_socket("127.0.0.1", 0)
    bound.listen()
    port = bound.getsockname()[1]
    serving = Serving(application, Listening(host="127.0.0.1", port=port, drain_seconds=5.0))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serving.run(bound),))
    thread.start()
    try:
        yield service, port
    finally:
        loop.call_soon_threadsafe(serving.stop)
        thread.join()
        application.stop()


def make_ask(port: int, new: int) -> Callable[[str], None]:
    def ask(text: str) -> None:
        messages = [{"role": "user", "content": text}]
        body = {"model": NAME, "messages": messages, "max_tokens": new, "temperature": 0}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        with contextlib.closing(connection):
            headers = {"content-type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            reply = connection.getresponse()
            told = json.loads(reply.read())
            if reply.status != 200 or told["usage"]["completion_tokens"] != new:
                raise ValueError(f"{reply.status}: {told}")

    return ask


def keep_ids(service) -> dict[bytes, list[int]]:
    """The ids of every answer from now on, by those of its prompt."""
    kept: dict[bytes, list[int]] = {}
    begin = service.begin

    def begin_and_keep(prepared, choice, stop_ids):
        # the end of a turn is a token like any other here
        answering = begin(prepared, choice, (-1,))
        kept[prepared.prompt.tokens.tobytes()] = answering.ids
        return answering

    service.begin = begin_and_keep
    return kept


def make_theirs(flags: argparse.Namespace, model, prompts) -> Callable[[], list[list[int]]]:
    """One request after another."""
    import torch

    from benchmarks.decoding import make_network

    network = make_network(flags.threads, model.config, model.params["decoder"])

    def run(prompts=prompts, new: int = flags.new) -> list[list[int]]:
        said = []
        for prompt in prompts:
            ids = torch.from_numpy(prompt.tokens[None]).long()
            whole = network.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False
            )
            said.append(whole[0, ids.shape[1] :].tolist())
        return said

    run(prompts[:1], 2)
    return run


def take_time(call: Callable[[], object]) -> tuple[float, float, object]:
    """Wall and CPU seconds, and what was returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = call()
    return time.perf_counter() - wall, time.process_time() - cpu, found


def main() -> None:
    flags = parse_flags()
    take_cores(flags.threads, flag="threads")
    os.environ["JAX_PLATFORMS"] = "cpu"
    numbers = [int(number) for number in flags.clients.split(",")]
    from sift_jax.decoding.text_answers import make_prompt
    from sift_jax.text.chat import make_question

    model, questions = make_model(flags), write_questions(flags)
    prompts = [make_prompt(model, make_question(text, []), lambda _: None) for text in questions]
    lengths = [len(prompt.tokens) for prompt in prompts]
    positions = max(lengths) + flags.new
    with start_server(model, flags, positions=positions) as (service, port):
        kept, ask = keep_ids(service), make_ask(port, flags.new)

        def serve(clients: int) -> None:
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(ask, questions))

        # what these compile, all others need
        pairs = list(zip(lengths, questions, strict=True))
        for _, question in (min(pairs), max(pairs)):
            ask(question)
        sides: dict[str, Callable[[], object]] = {
            f"{number} clients": lambda number=number: serve(number) for number in numbers
        }
        if not flags.no_theirs:
            sides["transformers"] = make_theirs(flags, model, prompts)
        taken: dict[str, list[tuple[float, float, object]]] = {name: [] for name in sides}
        for _ in range(flags.rounds):
            for name, call in sides.items():
                taken[name].append(take_time(call))
    tokens = flags.requests * flags.new
    print(
        f"{flags.decoder}, {flags.requests} requests with prompts of {min(lengths)} to "
        f"{max(lengths)} tokens and {flags.new} new ones, {flags.slots} slots, {flags.threads} "
        f"cores, {flags.rounds} rounds, the least of each"
    )
    for name, rounds in taken.items():
        wall, cpu = (min(found[i] for found in rounds) for i in (0, 1))
        print(
            f"  {name:13} {wall:7.1f} s, {tokens / wall:7.1f} tokens a second; "
            f"{cpu:7.1f} s of CPU, {1000 * cpu / tokens:6.2f} ms a token"
        )
    if not flags.no_theirs:
        wall, cpu = (min(f[i] for f in taken["transformers"]) for i in (0, 1))
        for name in list(taken)[:-1]:
            ratios = [least / min(f[i] for f in taken[name]) for i, least in ((0, wall), (1, cpu))]
            print(f"  {name:13} {ratios[0]:.2f} times as fast, by CPU time {ratios[1]:.2f}")
        said = taken["transformers"][-1][2]
        same = sum(
            kept[prompt.tokens.tobytes()] == ids for prompt, ids in zip(prompts, said, strict=True)
        )
        print(f"  answers with the same tokens: {same} of {len(prompts)}")


if __name__ == "__main__":
    main()
