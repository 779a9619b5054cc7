"""What every page knows without asking: the mode the desk runs in."""

from django.conf import settings
from django.http import HttpRequest


def describe_desk(request: HttpRequest) -> dict[str, object]:
    """`mode` ("paper" or "live") and `is_live`, for the banner on every page."""
    return {"mode": settings.MODE.value, "is_live": settings.LIVE}
