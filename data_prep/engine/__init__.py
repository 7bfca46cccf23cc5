"""What runs a build: Beam, processes, chunks, the ledger of what went in and came out, versions."""
