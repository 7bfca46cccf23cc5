"""Which flags a config of an older version is told to add."""

import dataclasses

import pytest

from sift_jax.older_configs import describe_missing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Oven:
    shelf: int
    mode: str = dataclasses.field(metadata={"before": "records"})
    spans: tuple = dataclasses.field(metadata={"before": (1, 2)})
    limit: float | None = dataclasses.field(metadata={"before": None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hob:
    rings: int
    flame: int


@pytest.mark.parametrize(
    "bound, said",
    [
        (("shelf", "mode", "spans", "limit"), None),
        (("shelf", "mode", "spans"), "do not bind Oven.limit, which a config of an older version lacks; "
         "to go on as it did, add --gin.Oven.limit=None"),
        (("shelf", "limit"), "add --gin.Oven.mode=records '--gin.Oven.spans=(1, 2)'"),
        # nobody can know what its author meant by that one
        (("mode", "limit"), "do not bind Oven.shelf, Oven.spans; include a file of configs/ that does"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_its_flags(bound, said):
    found = describe_missing([Oven, Hob], {f"Oven.{name}" for name in bound})
    assert found is None if said is None else found.endswith(said)
