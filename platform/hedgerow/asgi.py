"""The ASGI application of the web process: Django's views, and the live WebSocket of `routing.py`."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hedgerow.settings")
django_application = get_asgi_application()

from hedgerow.routing import websockets  # noqa: E402 - its models need Django set up first

application = ProtocolTypeRouter({"http": django_application, "websocket": websockets})
