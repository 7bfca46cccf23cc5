"""Continuous batching: prompts take a slot, are fed in pieces, go on token by token with all
others, and leave.

    decoder = SlotDecoder(model, slots=16, positions=4096)
    seat = decoder.take(prompt, Choice(temperature=0.0, top_p=1.0, seed=0))
    while (first := decoder.feed(seat)) is None: …          between two pieces others may step
    tokens = decoder.step()                                  {seat: its next token, …} of those that are fed
    decoder.leave(seat)

    room of all slots:   512 ─► 1024 ─► 2048       as the longest text in them needs, and back when it has left

It decides nothing: who waits, who is next and when an answer is over is the caller's affair.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from sift_jax.decoding.cached_decoder import Cache, count_slots, grow_cache
from sift_jax.decoding.clip_encoder import ClipEncoder
from sift_jax.decoding.decoder_sharding import place_params
from sift_jax.decoding.generate import Prompt, prepare
from sift_jax.decoding.kept_prefixes import (
    KeptPrefixes,
    Prefix,
    count_prefix,
    digest_clip,
    digest_prefix,
)
from sift_jax.decoding.slot_programs import (
    BROKEN,
    PART,
    State,
    cut_cache,
    make_piece,
    make_programs,
    make_state,
    take_out,
    wipe_slot,
)
from sift_jax.decoding.text_answers import make_speech_rules
from sift_jax.parallel.mesh import MeshConfig, make_mesh
from sift_jax.pretrained import Model

# A prompt is fed in pieces of these sizes, each of which is compiled by itself.
PIECES = (32, 128, 512)
# Room in a slot: this, or so many times twice as much.
LEAST_ROOM = 256
NO_LIMIT = np.iinfo(np.int32).max


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """How a row's tokens are chosen; `limit` units of speech at most."""

    temperature: float
    top_p: float
    seed: int
    limit: int = NO_LIMIT


@dataclasses.dataclass(eq=False, kw_only=True)
class Seat:
    """A prompt and its place; `fed` positions of it are in the cache, and `reused` came from a
    prefix that was there."""

    row: int
    prompt: Prompt
    choice: Choice
    prefix: int
    key: bytes
    frames: Sequence[np.ndarray] | None = None
    fed: int = 0
    reused: int = 0
    # positions in the cache, once the prompt is fed
    place: int = 0
    is_fed: bool = False
    # what the last piece told, perhaps still being computed
    told: jax.Array | int = 0


class NotFiniteError(ArithmeticError):
    """A model has come to numbers that are not finite, which no answer follows from."""


def choose_piece(rest: int, room: int) -> int:
    """The size of the next piece: the largest that is nearly filled, or the smallest.

    rest 100 ─► 128, rest 300 ─► 128, rest 40 ─► 32, rest 5 ─► 32
    """
    fitting = [size for size in PIECES if size <= room]
    filled = [size for size in fitting if size - rest <= size // 4]
    return max(filled, default=min(fitting, default=PIECES[0]))


class SlotDecoder:
    """`slots` prompts at once, each with its answer of at most `positions` positions; prefixes of
    recordings are kept up to `kept_bytes`."""

    def __init__(self, model: Model, *, slots: int, positions: int, kept_bytes: int = 1 << 29):
        if model.config.cross:
            raise ValueError(
                "this model hears by cross-attention, which is answered one batch at a time; "
                "ask it with python -m sift_jax.ask"
            )
        most = model.config.decoder.max_positions
        if not 1 <= positions <= most:
            raise ValueError(f"{positions} positions; this decoder takes 1 to {most}")
        if slots < 1:
            raise ValueError(f"{slots} slots are too few; give 1 or more")
        self.model, self.slots, self.positions = model, slots, positions
        self._config = model.config
        self._speech = make_speech_rules(model)
        mesh = make_mesh(MeshConfig(data=1, fsdp=1, tensor=1), jax.local_devices()[:1])
        params = place_params(model.params, mesh)
        self._prepared = prepare(model.config, params, rows=slots, mesh=mesh, speech=self._speech)
        self._listener = ClipEncoder(model.config, params, mesh, rows=1, kept_bytes=kept_bytes)
        self._known: weakref.WeakValueDictionary[bytes, np.ndarray] = weakref.WeakValueDictionary()
        self.prefixes = KeptPrefixes(kept_bytes)
        # what the longest text needs, with room for the padding of its last piece
        self._whole = NamedSharding(mesh, PartitionSpec())
        self._most_room = -(-(positions + PIECES[0]) // PART) * PART
        self.reset()

    def reset(self) -> None:
        """All slots free, whatever was in them; also after a program has failed, which takes the
        state along."""
        room = min(LEAST_ROOM, self._most_room)
        state = make_state(self._config, rows=self.slots, positions=room)
        # placed as programs leave it: for another placement each would be compiled again
        self._state: State = jax.device_put(state, self._whole)
        self._seats: dict[int, Seat] = {}

    @property
    def free(self) -> int:
        return self.slots - len(self._seats)

    @property
    def is_whole(self) -> bool:
        """Whether no program has failed that was given the state."""
        return not any(leaf.is_deleted() for leaf in jax.tree.leaves(self._state))

    @property
    def room(self) -> int:
        """Positions that a slot has room for at present."""
        return count_slots(self._state["cache"])

    def list_rooms(self) -> list[int]:
        """All sizes that it may have."""
        rooms = [min(LEAST_ROOM, self._most_room)]
        while rooms[-1] < self._most_room:
            rooms.append(min(2 * rooms[-1], self._most_room))
        return rooms

    def take(self, prompt: Prompt, choice: Choice, digests: Sequence[bytes] = ()) -> Seat:
        """A free slot for a prompt; `digests` are those of its clips, where they are known."""
        if len(prompt.tokens) >= self.positions:
            raise ValueError(
                f"a prompt of {len(prompt.tokens)} positions leaves no room for an answer within "
                f"{self.positions}; shorten it"
            )
        digests = list(digests) or [digest_clip(clip) for clip in prompt.clips]
        # one array for one sound, since what was heard is known by the array
        clips = [
            self._known.setdefault(digest, clip)
            for digest, clip in zip(digests, prompt.clips, strict=True)
        ]
        row = next(row for row in range(self.slots) if row not in self._seats)
        seat = Seat(
            row=row,
            prompt=dataclasses.replace(prompt, clips=clips),
            choice=choice,
            prefix=count_prefix(prompt),
            key=digest_prefix(prompt, digests),
        )
        self._seats[row] = seat
        return seat

    def leave(self, seat: Seat) -> None:
        """Its slot is free; a seat that has left may leave again."""
        if self._seats.get(seat.row) is not seat:
            return
        del self._seats[seat.row]
        if self.is_whole and int(seat.told) == BROKEN:
            heads = self._config.decoder.kv_heads
            self._state = wipe_slot(self._state, np.int32(seat.row), heads=heads)
            self.prefixes.drop(seat.key)

    def feed(self, seat: Seat) -> int | None:
        """The next piece of a prompt; behind the last one the first token of the answer, or BROKEN.

        Raises NotFiniteError where what is heard of a recording is not finite.
        """
        if not seat.fed and seat.prefix:
            self._reuse(seat)
        end = seat.prefix if seat.fed < seat.prefix else len(seat.prompt.tokens)
        rest = end - seat.fed
        size = choose_piece(rest, self._most_room - seat.fed)
        self._make_room(seat.fed + size)
        count = min(rest, size)
        _, feed_piece, _ = make_programs()
        self._state, token = feed_piece(
            self._config,
            self._prepared,
            self._state,
            make_piece(
                seat.prompt.tokens[seat.fed : seat.fed + count],
                self._lay_speech(seat, seat.fed, seat.fed + count),
                size=size,
                row=seat.row,
                start=seat.fed,
                **dataclasses.asdict(seat.choice),
            ),
            self._speech,
        )
        seat.fed += count
        seat.told = token
        if seat.fed == seat.prefix:
            self._keep(seat)
        if seat.fed < len(seat.prompt.tokens):
            return None
        seat.place, seat.is_fed, seat.frames = seat.fed, True, None
        return int(token)

    def step(self) -> dict[Seat, int]:
        """The next token of every seat whose prompt is fed; BROKEN where there is none, and then
        the seat must leave."""
        fed = [seat for seat in self._seats.values() if seat.is_fed]
        if not fed:
            return {}
        if any(seat.place >= self.positions for seat in fed):
            raise ValueError(f"an answer has gone on beyond {self.positions} positions")
        self._make_room(1 + max(seat.place for seat in fed))
        step_slots, _, _ = make_programs()
        self._state, token_b = step_slots(self._config, self._prepared, self._state, self._speech)
        tokens = np.asarray(token_b).tolist()
        for seat in fed:
            seat.place += 1
            seat.told = tokens[seat.row]
        return {seat: tokens[seat.row] for seat in fed}

    def warm_up(self) -> None:
        """Compiles all that it may need: the encoder for every length, the rest for every room."""
        choice = Choice(temperature=0.0, top_p=1.0, seed=0)
        width, dtype = self._config.decoder.width, jnp.dtype(self._config.dtype)
        step_slots, feed_piece, _ = make_programs()
        self._listener.warm_up()
        for room in self.list_rooms():
            self._set_room(room)
            for size in (size for size in PIECES if size <= room):
                speech = (np.zeros(size, bool), np.zeros((size, width), dtype))
                for heard in (None, speech):
                    piece = make_piece(
                        np.zeros(size, np.int32),
                        heard,
                        size=size,
                        row=0,
                        start=0,
                        **dataclasses.asdict(choice),
                    )
                    self._state, _ = feed_piece(
                        self._config, self._prepared, self._state, piece, self._speech
                    )
            self._state, token_b = step_slots(
                self._config, self._prepared, self._state, self._speech
            )
            self._put_in(0, self._take_out(0, PART))
            heads = self._config.decoder.kv_heads
            self._state = wipe_slot(self._state, np.int32(0), heads=heads)
        token_b.block_until_ready()
        # on the way back it is cut
        self._set_room(self.list_rooms()[0])
        self.reset()

    def _lay_speech(self, seat: Seat, start: int, end: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Which positions of a piece are audio, and what is heard there; None where none is."""
        clip, frame = seat.prompt.clip[start:end], seat.prompt.frame[start:end]
        is_speech = clip >= 0
        if not is_speech.any():
            return None
        if seat.frames is None:
            seat.frames = self._listener.hear(seat.prompt.clips)
            # before they are in the cache, where they would have to be wiped out
            if not all(np.isfinite(frames).all() for frames in seat.frames):
                raise NotFiniteError("what the model hears of the recording is not finite")
        laid = np.zeros((end - start, self._config.decoder.width), seat.frames[0].dtype)
        for number in np.unique(clip[is_speech]):
            places = np.flatnonzero(clip == number)
            laid[places] = seat.frames[number][frame[places]]
        return is_speech, laid

    def _reuse(self, seat: Seat) -> None:
        """What others have computed of a prompt's beginning is put into its slot."""
        found = self.prefixes.find(seat.key)
        if found is None:
            return
        self._make_room(PART * len(found.parts))
        self._put_in(seat.row, found.parts)
        seat.fed = seat.reused = found.positions

    def _keep(self, seat: Seat) -> None:
        """Keeps the beginning of a slot for others."""
        parts = self._take_out(seat.row, seat.prefix)
        self.prefixes.keep(seat.key, Prefix(positions=seat.prefix, parts=parts))

    def _take_out(self, row: int, positions: int) -> list[Cache]:
        """The first positions of a slot, and what more the last part has."""
        heads = self._config.decoder.kv_heads
        return [
            take_out(self._state["cache"], np.int32(row), np.int32(start), heads=heads)
            for start in range(0, positions, PART)
        ]

    def _put_in(self, row: int, parts: Sequence[Cache]) -> None:
        _, _, put_in = make_programs()
        for number, part in enumerate(parts):
            start = np.int32(number * PART)
            self._state["cache"] = put_in(self._state["cache"], np.int32(row), start, part)

    def _make_room(self, positions: int) -> None:
        """Grows all slots where one needs it; makes them small again when a half would do."""
        taken = max((max(s.place, s.fed) for s in self._seats.values()), default=0)
        need = max(positions, taken + 1)
        # a text that is about to grow is left its room
        rooms = self.list_rooms()
        least = next(room for room in rooms if room >= need)
        if self.room < least or self.room > 2 * least:
            self._set_room(least)

    def _set_room(self, room: int) -> None:
        """From size to size, so that there are few programs to compile."""
        rooms = self.list_rooms()
        while room != self.room:
            place = rooms.index(self.room)
            change, near = (cut_cache, -1) if room < self.room else (_grow, 1)
            self._state["cache"] = change(self._state["cache"], rooms[place + near])


_grow = jax.jit(grow_cache, static_argnums=1)
