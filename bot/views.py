"""`/telegram/`: link your Telegram to your name here; on a paper desk also the chat itself, to try the bot in."""

import mimetypes

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bot import local_server
from bot.linking import CODE_LIFE, make_code, unlink
from bot.models import TelegramChat
from identity.access import page_for
from identity.models import User
from identity.roles import Role
from trading.errors import InvalidValue

PASTE = "telegram_code"


@require_safe
@never_cache
@page_for(Role.VIEWER, keeps_scope=True)
def show(request: HttpRequest) -> HttpResponse:
    """The page; for HTMX only the chat's messages, or the links."""
    user = person(request)
    if getattr(request, "htmx", False):
        if request.GET.get("part") == "links":
            return render(request, "bot/links.html", {"chats": TelegramChat.objects.filter(user=user)})
        return render(request, "bot/messages.html", chat_context(request, user))
    return render(request, "bot/page.html", page_context(request, user))


@require_POST
@page_for(Role.VIEWER, keeps_scope=True)
def link(request: HttpRequest) -> HttpResponse:
    """Make a code and show it once; on a paper desk type it into the local chat as well."""
    user = person(request)
    try:
        code = make_code(user, user, timezone.now())
    except InvalidValue as error:
        messages.error(request, str(error))
        return redirect("telegram")
    if request.POST.get("here") and may_chat(user):
        try:
            local_server.say(user, f"/start {code}")
        except OSError:
            messages.error(request, "The local Telegram server does not answer; try again in a moment.")
    else:
        request.session[PASTE] = code
    return redirect("telegram")


@require_POST
@page_for(Role.VIEWER, keeps_scope=True)
def end_link(request: HttpRequest, chat_id: int) -> HttpResponse:
    """End a link of one's own."""
    user = person(request)
    unlink(get_object_or_404(TelegramChat, pk=chat_id, user=user), user, timezone.now())
    messages.success(request, "The link is ended: that chat gets nothing more.")
    return redirect("telegram")


@require_POST
@page_for(Role.VIEWER, keeps_scope=True)
def say(request: HttpRequest) -> HttpResponse:
    """Type into the local chat, press one of its buttons, or search from it as `@bot words` does in Telegram."""
    user = person(request)
    if not may_chat(user):
        raise Http404
    found: dict[str, object] = {}
    try:
        text = request.POST.get("text", "").strip()
        if data := request.POST.get("data", ""):
            local_server.press(user, int(request.POST.get("message_id", "0")), data)
        elif text.startswith("@"):
            words = text.partition(" ")[2].strip()
            found = {"searched": words, "hits": local_server.search(user, words)}
        elif text:
            local_server.say(user, text)
    except (OSError, ValueError):
        messages.error(request, "The local Telegram server did not take it; try again in a moment.")
    if getattr(request, "htmx", False):
        return render(request, "bot/answered.html", {**chat_context(request, user), **found})
    if found:
        return render(request, "bot/page.html", {**page_context(request, user), **found})
    return redirect("telegram")


@require_safe
@page_for(Role.VIEWER, keeps_scope=True)
def show_file(request: HttpRequest, file_id: str) -> HttpResponse:
    """A picture or file of one's own local chat."""
    user = person(request)
    if not may_chat(user):
        raise Http404
    try:
        found = local_server.load_file(user, file_id)
    except OSError:
        raise Http404 from None
    if found is None:
        raise Http404
    body, name = found
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    is_picture = content_type == "image/png"
    response = HttpResponse(body, content_type=content_type if is_picture else "application/octet-stream")
    response["X-Content-Type-Options"] = "nosniff"
    if not is_picture:
        response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def page_context(request: HttpRequest, user: User) -> dict[str, object]:
    """All of the page. A code that was just made is shown this once."""
    return {
        "chats": TelegramChat.objects.filter(user=user),
        "code": request.session.pop(PASTE, ""),
        "minutes": CODE_LIFE.seconds // 60,
        **chat_context(request, user),
    }


def chat_context(request: HttpRequest, user: User) -> dict[str, object]:
    """The local chat, newest last; nothing where there is none or it is not for this person."""
    if not may_chat(user):
        return {"is_local": False}
    try:
        return {"is_local": True, "lines": local_server.load_chat(user)}
    except OSError:
        return {"is_local": True, "lines": [], "is_away": True}


def may_chat(user: User) -> bool:
    """Only staff, only on a paper desk with a server of its own."""
    return user.is_staff and local_server.is_local()


def person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user
