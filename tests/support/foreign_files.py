"""Small files of other programs, written by the tests themselves: GGUF, CTranslate2's model.bin,
PyTorch's .pt."""

import struct
import zipfile

import ml_dtypes
import numpy as np

STRING, ARRAY, UINT32, FLOAT32, BOOL = 8, 9, 4, 6, 7


def pack_text(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def pack_value(value):
    """(kind, bytes) of a key's value."""
    if isinstance(value, bool):
        return BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return UINT32, struct.pack("<I", value)
    if isinstance(value, float):
        return FLOAT32, struct.pack("<f", value)
    if isinstance(value, str):
        return STRING, pack_text(value)
    kinds, raws = zip(*map(pack_value, value), strict=True)
    return ARRAY, struct.pack("<IQ", kinds[0], len(value)) + b"".join(raws)


def quantize_8(value):
    """Blocks of Q8_0: d, then 32 signed bytes."""
    rows = value.reshape(-1, 32)
    scale = (np.abs(rows).max(1, keepdims=True) / 127).astype("<f2")
    q = np.rint(rows / np.maximum(scale.astype(np.float32), 1e-8)).astype(np.int8)
    return b"".join(d.tobytes() + row.tobytes() for d, row in zip(scale, q, strict=True))


def write_gguf(path, facts, tensors):
    """`tensors`: name → (array, "F32", "F16" or "Q8_0")."""
    kinds = {
        "F32": (0, lambda x: x.astype("<f4").tobytes()),
        "F16": (1, lambda x: x.astype("<f2").tobytes()),
        "Q8_0": (8, quantize_8),
    }
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    for key, value in facts.items():
        kind, raw = pack_value(value)
        head += pack_text(key) + struct.pack("<I", kind) + raw
    body = b""
    for name, (value, packing) in tensors.items():
        number, pack = kinds[packing]
        shape = value.shape[::-1]
        head += pack_text(name) + struct.pack(
            f"<I{len(shape)}QIQ", len(shape), *shape, number, len(body)
        )
        raw = pack(value)
        body += raw + b"\0" * (-len(raw) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + body)
    return path


def write_ctranslate2(path, variables, aliases=(), name="WhisperSpec"):
    def text(x):
        return struct.pack("<H", len(x) + 1) + x.encode() + b"\0"

    kinds = [np.dtype(x) for x in ("<f4", "i1", "<i2", "<i4", "<f2", ml_dtypes.bfloat16)]
    raw = struct.pack("<I", 6) + text(name) + struct.pack("<II", 3, len(variables))
    for key, value in variables.items():
        raw += text(key) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        raw += struct.pack("<BI", kinds.index(value.dtype), value.nbytes) + value.tobytes()
    raw += struct.pack("<I", len(aliases)) + b"".join(text(a) + text(b) for a, b in aliases)
    path.write_bytes(raw)
    return path


# ---- a pickle by its steps: protocol 2, as torch.save writes it


def step_text(text):
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def step_name(module, name):
    return f"c{module}\n{name}\n".encode()


def step_tuple(*items):
    return b"(" + b"".join(items) + b"t"


def step_number(number):
    return b"J" + struct.pack("<i", number)


def step_dict(items):
    return b"}(" + b"".join(step_text(key) + value for key, value in items.items()) + b"u"


def step_tensor(key, value):
    kind = {"<f4": "FloatStorage", "<f2": "HalfStorage"}[value.dtype.str]
    storage = (
        step_tuple(
            step_text("storage"),
            step_name("torch", kind),
            step_text(key),
            step_text("cpu"),
            step_number(value.size),
        )
        + b"Q"
    )
    strides = [step // value.itemsize for step in value.strides]
    arguments = step_tuple(
        storage,
        step_number(0),
        step_tuple(*map(step_number, value.shape)),
        step_tuple(*map(step_number, strides)),
        b"\x89",
        step_name("collections", "OrderedDict") + b")R",
    )
    return step_name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def write_torch(path, program, storages):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + program + b".")
        archive.writestr("archive/byteorder", "little")
        for key, value in storages.items():
            archive.writestr(f"archive/data/{key}", value.tobytes())
    return path


def write_openai(path, tensors):
    state = {name: step_tensor(str(i), value) for i, (name, value) in enumerate(tensors.items())}
    program = step_dict(
        {"dims": step_dict({"n_mels": step_number(80)}), "model_state_dict": step_dict(state)}
    )
    return write_torch(path, program, {str(i): value for i, value in enumerate(tensors.values())})
