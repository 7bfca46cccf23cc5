"""What a request is told that is not answered: a status, and the error that OpenAI's clients read.

400   the request is wrong: its JSON, a field, a prompt that is too long
401   no key, or a wrong one               408   the body did not come
404   no such path or model                405   another method
413   too large                            415   no JSON
422   audio that cannot be used            429   the queue is full; Retry-After says when to come
421   under a name that is not this machine's
500   a fault of ours                      503   the server is stopping
"""

from __future__ import annotations

from typing import Any

_KINDS = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}


class RequestError(ValueError):
    """One line for the client; `param` names the field, `code` the kind of error for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ):
        # what a request names may hold halves of letters, which no answer can be written with
        super().__init__(message.encode("utf-8", "replace").decode())
        self.status, self.param, self.code = status, param, code
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        headers = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        # what is left of a body that was refused is not read: the connection ends with the answer
        return headers | ({"connection": "close"} if self.status in (408, 413) else {})

    def describe(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "error": {
                "message": str(self),
                "type": _KINDS.get(self.status, "invalid_request_error"),
                "param": self.param,
                "code": self.code,
            }
        }
