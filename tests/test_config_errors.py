"""Gin's errors in words about the config."""

import pytest

from sift_jax.config_errors import describe_type, explain_gin
from sift_jax.config_statements import find_knob, list_statements

FIELDS = {"OptimizerConfig": ["beta1", "beta2"], "train": ["run", "optimizer"]}


@pytest.mark.parametrize(
    "text, said",
    [
        (
            "Configurable 'OptimizerConfig' doesn't have a parameter named 'beta_2'. In bindings "
            "string line 1 OptimizerConfig.beta_2 = 1",
            "OptimizerConfig has no field beta_2; did you mean beta2?",
        ),
        (
            "Configurable 'm.OptimizerConfig' doesn't have a parameter named 'x'. In file \"a.gin\", "
            "line 4 x",
            'OptimizerConfig has no field x; it has beta1, beta2 (In file "a.gin", line 4)',
        ),
        (
            "No configurable matching 'OptimiserConfig'. In bindings string line 1",
            "nothing is called OptimiserConfig in a config; did you mean OptimizerConfig?",
        ),
        (
            "No configurable matching reference '@Walk()'. In file \"a.gin\", line 2",
            'nothing is called Walk in a config; there are OptimizerConfig, train (In file "a.gin", '
            "line 2)",
        ),
        (
            "Required bindings for configurable 'macro' not provided in scope 'STEPZ'",
            "gin macro %STEPZ is not defined; did you mean %STEPS?",
        ),
        ("warm-up is too long In call to configurable 'train'", "warm-up is too long"),
    ],
)
def test_gin_s_words_become_ours(text, said):
    assert explain_gin(text, FIELDS, ["STEPS"]) == said


def test_a_wrong_type_is_changed_where_it_was_given():
    statements = list_statements([("a.gin", 1, "STEPS = 3\nRunConfig.steps = %STEPS\n")], [])
    knob = find_knob("RunConfig.steps", statements)
    assert knob == "STEPS" and find_knob("RunConfig.log_every", statements) is None
    assert describe_type("RunConfig.steps", "x", "int", knob) == (
        "RunConfig.steps = 'x' is not an int; give another by --gin.STEPS=…, or in the gin file"
    )
