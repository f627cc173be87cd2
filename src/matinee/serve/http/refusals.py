"""Short answers to requests that the site does not carry out: text for people, JSON for programs."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from matinee.serve.http.access import answer_of
from matinee.serve.http.problems import is_api, problem

RETRY_SECONDS = 2
RETRIED = {429, 503}


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    text: str,
    *,
    seconds: int = RETRY_SECONDS,
    reason: str = "",
) -> None:
    """Answer with a status and a text of the site, which the application's `refusal_text` has in each language.

    seconds: for Retry-After, where trying again may help; reason: which limit it is, where the text does not tell.
    """
    if (known := answer_of(scope)) is not None:
        known.refusal = reason or text.rpartition(".")[2]
    message = scope["app"].state.refusal_text(Request(scope), text)
    headers = {"Retry-After": str(seconds)} if status in RETRIED else {"Connection": "close"}
    answer: Response = (
        problem(scope, status, message, headers)
        if is_api(scope)
        else PlainTextResponse(message + "\n", status, headers)
    )
    await answer(scope, receive, send)
