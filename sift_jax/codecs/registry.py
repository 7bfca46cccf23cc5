"""The kinds of codecs, and the one door to a codec's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sift_jax.codecs.codec import Codec
from sift_jax.codecs.codec_folder import CodecFolder, read_folder


def _make_embedded(folder: CodecFolder) -> Codec:
    from sift_jax.codecs.embedded.embedded_codec import EmbeddedCodec

    return EmbeddedCodec(folder)


def _make_hubert(folder: CodecFolder) -> Codec:
    from sift_jax.codecs.hubert.hubert_codec import HubertCodec

    return HubertCodec(folder)


def _make_xcodec2(folder: CodecFolder) -> Codec:
    from sift_jax.codecs.xcodec2.xcodec2_codec import Xcodec2Codec

    return Xcodec2Codec(folder)


# each kind is imported when a folder of it is opened
KINDS: dict[str, Callable[[CodecFolder], Codec]] = {
    "embedded": _make_embedded,
    "hubert": _make_hubert,
    "xcodec2": _make_xcodec2,
}


def load_codec(path: str | Path, *, fingerprint: str | None = None) -> Codec:
    """The codec of a folder, after every byte of it was checked; `fingerprint` is the one that must
    be there."""
    folder = read_folder(path)
    if folder.config.kind not in KINDS:
        raise ValueError(
            f"{path}: no codec of kind {folder.config.kind!r} is known; it is one of "
            f"{', '.join(KINDS)}"
        )
    codec = KINDS[folder.config.kind](folder)
    if fingerprint is not None:
        codec.check_fingerprint(fingerprint)
    return codec
