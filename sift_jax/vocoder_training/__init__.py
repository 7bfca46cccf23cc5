"""Training the vocoder of a codec: units and recordings in, a generator that other networks cannot
catch out."""
