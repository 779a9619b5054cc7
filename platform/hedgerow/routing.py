"""The WebSocket addresses of the product, with their session and host checks. `asgi.py` mounts `websockets`."""

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from hedgerow.consumers import PageSignals

websockets = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter([path("ws/pages", PageSignals.as_asgi())])))
