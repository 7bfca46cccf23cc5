"""TensorBoard's event file, written without TensorFlow, whose import would take longer than all
else of a start.

run_dir/tensorboard/events.out.tfevents.…      records of Event messages: version; scalars, texts, audio by step
"""

from __future__ import annotations

import io
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import soundfile
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.audio import metadata as audio_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

_VERSION = "brain.Event:2"


class EventFile:
    """A board of a run: what is written to it is on disk when the call returns."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        # another start of the same run writes a file of its own; readers put them together by time
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}.v2"
        self._records = RecordWriter((folder / name).open("wb"))
        self._records.write(
            event_pb2.Event(wall_time=time.time(), file_version=_VERSION).SerializeToString()
        )
        self.flush()

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        metadata = scalar_metadata.create_summary_metadata(display_name=None, description=None)
        self._write(
            step,
            (
                summary_pb2.Summary.Value(
                    tag=name,
                    metadata=metadata,
                    tensor=tensor_pb2.TensorProto(
                        dtype=types_pb2.DT_FLOAT,
                        tensor_shape=tensor_shape_pb2.TensorShapeProto(),
                        float_val=[float(value)],
                    ),
                )
                for name, value in scalars.items()
            ),
        )

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        metadata = text_metadata.create_summary_metadata(display_name=None, description=None)
        self._write(
            step,
            (_make_strings(name, metadata, [text.encode()], ()) for name, text in texts.items()),
        )

    def write_audios(
        self, step: int, audios: Mapping[str, np.ndarray], *, sample_rate: int
    ) -> None:
        """Clips (n, samples, channels) between −1 and 1."""
        encoding = audio_metadata.Encoding.Value("WAV")
        metadata = audio_metadata.create_summary_metadata(
            display_name=None, description=None, encoding=encoding
        )

        def encode(clip: np.ndarray) -> bytes:
            data = io.BytesIO()
            soundfile.write(data, np.asarray(clip), sample_rate, format="WAV", subtype="PCM_16")
            return data.getvalue()

        # beside each clip a label, which is empty
        self._write(
            step,
            (
                _make_strings(
                    name,
                    metadata,
                    [part for clip in clips for part in (encode(clip), b"")],
                    (len(clips), 2),
                )
                for name, clips in audios.items()
            ),
        )

    def _write(self, step: int, values: Iterable[summary_pb2.Summary.Value]) -> None:
        event = event_pb2.Event(
            wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=values)
        )
        self._records.write(event.SerializeToString())
        # seen at once, and a full disk is told by the step that finds it
        self.flush()

    def flush(self) -> None:
        self._records.flush()

    def close(self) -> None:
        self._records.close()


def _make_strings(
    name: str, metadata: summary_pb2.SummaryMetadata, values: list[bytes], shape: tuple[int, ...]
) -> summary_pb2.Summary.Value:
    sizes = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=sizes),
        string_val=values,
    )
    return summary_pb2.Summary.Value(tag=name, metadata=metadata, tensor=tensor)
