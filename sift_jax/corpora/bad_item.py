"""What a reader of a corpus raises over an item that it cannot use."""


class BadItem(ValueError):
    """An item to be skipped, raised and caught within a reader."""

    def __init__(self, reason: str, detail: str = "", identity: str | None = None):
        super().__init__(reason)
        self.reason, self.detail, self.identity = reason, detail, identity
