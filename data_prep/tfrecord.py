"""Command line that adds TFRecord files to records, for readers that go through `tfds.load`.

    python -m data_prep.tfrecord --records=runs/mls/records

    records/sift_de/1.0.0/sift_de-train.array_record-00000-of-00002      what training reads, at random
                          sift_de-train.tfrecord-00000-of-00002          the same examples in the same order
                          dataset_info.json                              names both formats

`tfds.load` cannot read ArrayRecord (`tfds.data_source` can), and TFRecord has no random access: who
wants both has the examples twice. What is there already is kept, so a second call goes on where the
first was stopped.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from sift_jax.exits import report_errors
from sift_jax.flags import Parser, is_debug
from sift_jax.storage.whole_files import write_whole

_ARRAY, _TF = "array_record", "tfrecord"


def add_tfrecords(folder: Path) -> int:
    """Of one dataset's version folder; returns the number of examples."""
    info_path = folder / "dataset_info.json"
    info = json.loads(info_path.read_text(encoding="utf-8"))
    count = sum(
        _copy_shard(shard, shard.with_name(shard.name.replace(f".{_ARRAY}-", f".{_TF}-")))
        for shard in sorted(folder.glob(f"*.{_ARRAY}-*-of-*"))
    )
    expected = sum(int(length) for split in info["splits"] for length in split["shardLengths"])
    if count != expected:
        raise ValueError(
            f"{folder} holds {count} examples, and its dataset_info.json says {expected}; "
            "make the records again"
        )
    # The first format is what `tfds.load` takes; random access looks for the other.
    info |= {"fileFormat": _TF, "alternativeFileFormats": [_ARRAY]}
    write_whole(info_path, json.dumps(info, ensure_ascii=False, indent=2))
    return count


def _copy_shard(source: Path, target: Path) -> int:
    import tensorflow as tf
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(str(source))
    count = reader.num_records()
    if not target.exists():
        draft = target.with_name(f".{target.name}.part")
        with tf.io.TFRecordWriter(str(draft)) as writer:
            for place in range(count):
                writer.write(reader.read([place])[0])
        draft.replace(target)
    reader.close()
    return count


def make_parser() -> Parser:
    """Which records."""
    parser = Parser(
        "data_prep.tfrecord",
        description="Adds TFRecord files to records, for readers that go through tfds.load.",
        examples=("--records=runs/mls/records",),
    )
    parser.add_argument("--records", type=Path, required=True, help="folder with sift_<language>/")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Adds them to every language's dataset."""
    flags = make_parser().parse_args(arguments)
    report_errors(lambda: _run(flags.records), is_debug=is_debug(flags), can_resume=True)


def _run(records: Path) -> None:
    folders = sorted(path.parent for path in records.glob("sift_*/*/dataset_info.json"))
    if not folders:
        raise ValueError(
            f"no records under {records}; make them with python -m data_prep.build or "
            "data_prep.records"
        )
    for folder in folders:
        print(
            f"{folder.parent.name}  {add_tfrecords(folder):,} examples: "
            f"tfds.load({folder.parent.name!r}, data_dir={str(records)!r})"
        )


if __name__ == "__main__":
    main()
