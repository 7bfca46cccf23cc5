"""python -m sift_jax.units: recordings to units and back from the command line; the codecs are
sift_jax.codecs."""
