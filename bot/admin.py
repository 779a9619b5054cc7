"""Chats linked to people, and what the bot sent them. Codes are made here for others; each person makes their own."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from bot.linking import CODE_LIFE, make_code, set_blocked
from bot.models import Callback, LinkCode, OutboxMessage, SeenUpdate, TelegramChat
from identity.admin_actions import Given, ReasonedAction
from identity.admin_panels import SHOWN, Panel
from identity.back_office import ADMIN_SOURCE, ReadOnlyAdmin, person_of
from identity.models import User
from identity.roles import Role, has_role
from trading.errors import InvalidValue


def block(request: HttpRequest, chat: TelegramChat, given: Given) -> str:
    set_blocked(chat, True, person_of(request), given["reason"], source=ADMIN_SOURCE)
    return f"{chat} gets nothing more and may do nothing."


def unblock(request: HttpRequest, chat: TelegramChat, given: Given) -> str:
    set_blocked(chat, False, person_of(request), given["reason"], source=ADMIN_SOURCE)
    return f"{chat} is let in again."


@admin.register(TelegramChat)
class TelegramChatAdmin(ReadOnlyAdmin):
    """Who is linked. Their wishes are theirs to change, in the chat."""

    list_display = ("user", "name", "telegram_id", "is_blocked", "is_deaf", "muted_until", "linked_at")
    list_filter = ("is_blocked", "is_deaf")
    search_fields = ("user__username", "name", "=telegram_id")
    list_select_related = ("user",)
    panels = (
        Panel(
            "Last messages",
            OutboxMessage,
            ("created_at", "kind", "status", "attempts", "sent_at", "reason"),
            lambda chat: OutboxMessage.objects.filter(chat=chat).order_by("-id")[:SHOWN],
            lambda chat: {"chat__id__exact": chat.pk},
        ),
    )
    reasoned = (
        ReasonedAction("block_chats", "Block", block, role=Role.ADMIN),
        ReasonedAction("unblock_chats", "Let in again", unblock, role=Role.ADMIN),
    )


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """Every message to Telegram, newest first, with what became of it."""

    list_display = ("created_at", "chat", "kind", "status", "attempts", "sent_at", "reason")
    list_filter = ("status", "kind")
    search_fields = ("=key", "chat__user__username")
    list_select_related = ("chat__user",)
    ordering = ("-id",)


@admin.register(LinkCode)
class LinkCodeAdmin(ReadOnlyAdmin):
    """Codes that link a chat, by whom and until when. The code itself is nowhere."""

    list_display = ("user", "made_by", "expires_at", "used_at")
    search_fields = ("user__username", "made_by")
    list_select_related = ("user",)
    hidden = ("digest",)
    ordering = ("-id",)


@admin.register(Callback)
class CallbackAdmin(ReadOnlyAdmin):
    """What the buttons under messages do, and until when."""

    list_display = ("action", "telegram_id", "is_once", "expires_at", "used_at")
    list_filter = ("is_once", ("used_at", admin.EmptyFieldListFilter))
    search_fields = ("=id",)
    ordering = ("-expires_at",)


@admin.register(SeenUpdate)
class SeenUpdateAdmin(ReadOnlyAdmin):
    """Updates taken from Telegram; each is taken once."""

    list_display = ("update_id", "at")
    search_fields = ("=update_id",)
    ordering = ("-update_id",)


@admin.action(description="Make a Telegram link code")
def make_link_code(model_admin: Any, request: HttpRequest, people: QuerySet[User]) -> None:
    """Show the code once, to the admin, who hands it on."""
    by = person_of(request)
    if not has_role(by, Role.ADMIN):
        messages.error(request, "This needs the role admin.")
        return
    for person in people:
        try:
            code = make_code(person, by, timezone.now(), source=ADMIN_SOURCE)
        except InvalidValue as error:
            messages.error(request, str(error))
        else:
            minutes = CODE_LIFE.seconds // 60
            messages.success(request, f"{person}: send the bot /start {code} within {minutes} minutes. Shown once.")


people = admin.site.get_model_admin(User)
people.actions = [*(people.actions or ()), make_link_code]
