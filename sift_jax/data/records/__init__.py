"""Records: an utterance with its audio once and all of its questions, and what is looked up in
them."""
