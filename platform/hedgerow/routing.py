"""The WebSocket addresses of the product, each with its own door. `asgi.py` mounts `websockets`."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from hedgerow.consumers import PageSignals
from hedgerow.event_socket import EventSocket

websockets = URLRouter(
    [
        path("ws/pages", AllowedHostsOriginValidator(AuthMiddlewareStack(PageSignals.as_asgi()))),
        # Programs send no Origin but a token; a session is only taken from a page of our own address.
        path("ws", AuthMiddlewareStack(EventSocket.as_asgi())),
    ]
)
