"""Chats linked to people, and what the bot sent them. Codes are made here for others; each person makes their own."""

from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from bot.linking import CODE_LIFE, make_code, set_blocked
from bot.models import Callback, LinkCode, OutboxMessage, SeenUpdate, TelegramChat
from identity.admin_actions import Given, ReasonedAction
from identity.admin_panels import SHOWN, Panel
from identity.back_office import ADMIN_SOURCE, DeskModelAdmin, ReadOnlyAdmin, person_of, yes_no
from identity.models import User
from identity.roles import Role, load_role


def block(request: HttpRequest, chat: TelegramChat, given: Given) -> str:
    set_blocked(chat, True, person_of(request), given["reason"], source=ADMIN_SOURCE)
    return f"{chat} gets nothing more and may do nothing."


def unblock(request: HttpRequest, chat: TelegramChat, given: Given) -> str:
    set_blocked(chat, False, person_of(request), given["reason"], source=ADMIN_SOURCE)
    return f"{chat} is let in again."


@admin.register(TelegramChat)
class TelegramChatAdmin(ReadOnlyAdmin):
    """Who is linked. Their wishes are theirs to change, in the chat."""

    list_display = ("user", "name", "telegram_id", yes_no("is_blocked"), yes_no("is_deaf"), "muted_until", "linked_at")
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
        ReasonedAction(
            "block_chats", "Block", block, role=Role.ADMIN,
            warning="A blocked chat gets no message, not even a critical alert, and may do nothing. That holds for your"
            " own too.",
        ),
        ReasonedAction(
            "unblock_chats", "Let in again", unblock, role=Role.ADMIN,
            warning="The chat gets alerts again, and whoever holds it acts with its person's rights.",
        ),
    )  # fmt: skip


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

    list_display = ("action", "telegram_id", yes_no("is_once"), "expires_at", "used_at")
    list_filter = ("is_once", ("used_at", admin.EmptyFieldListFilter))
    search_fields = ("=id",)
    ordering = ("-expires_at",)


@admin.register(SeenUpdate)
class SeenUpdateAdmin(ReadOnlyAdmin):
    """Updates taken from Telegram; each is taken once."""

    list_display = ("update_id", "at")
    search_fields = ("=update_id",)
    ordering = ("-update_id",)


def make_link_code(request: HttpRequest, person: User, given: Given) -> str:
    """An action's step for one person. Shows the code once, to the admin, who hands it on."""
    code = make_code(person, person_of(request), timezone.now(), source=ADMIN_SOURCE, reason=given["reason"])
    return f"{person}: send the bot /start {code} within {CODE_LIFE.seconds // 60} minutes. Shown once."


def tell_links(person: User, given: Given) -> Iterable[str]:
    """What the code would give to a chat, and which chats have it already."""
    role = load_role(person)
    yield f"role {role.value}" if role else "no role: the bot would not answer, so no code is made"
    chats = TelegramChat.objects.filter(user=person).order_by("linked_at")
    yield f"linked: {', '.join(chat.name or str(chat.telegram_id) for chat in chats) or 'no chat'}"


people = admin.site.get_model_admin(User)
assert isinstance(people, DeskModelAdmin)
people.add_reasoned(
    ReasonedAction(
        "make_link_code", "Make a Telegram link code", make_link_code, role=Role.ADMIN, preview=tell_links,
        warning="Whoever sends the code to the bot acts with this person's rights. Earlier unused codes end.",
    )
)  # fmt: skip
