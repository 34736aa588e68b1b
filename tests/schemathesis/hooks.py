"""Keeps what is made up on this machine: webhooks are told nothing but where nobody listens."""

import os

import schemathesis


@schemathesis.hook
def map_body(context, body):
    if "/webhooks" in context.operation.path and isinstance(body, dict) and isinstance(body.get("url"), str):
        body["url"] = os.environ["WEBHOOK_URL"]
    return body
