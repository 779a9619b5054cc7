"""Who speaks. A Telegram user is a linked, unblocked, active person with a role, or nobody: nobody gets no answer."""

import time
from collections import deque
from dataclasses import dataclass

from bot.models import TelegramChat
from identity.callers import Caller
from identity.models import User
from identity.roles import Role, has_role, load_role


@dataclass(frozen=True)
class Speaker:
    """Somebody the bot may answer."""

    user: User
    chat: TelegramChat

    @property
    def caller(self) -> Caller:
        """With the same sight of accounts as on the web: all, or those with one of the person's tags."""
        return Caller(self.user, load_role(self.user), frozenset(self.user.account_tags) or None)

    def may(self, role: Role) -> bool:
        """Asked anew at every use: a role taken away on the web is gone here at once."""
        return has_role(self.user, role)


def load_speaker(telegram_id: int) -> Speaker | None:
    """The person behind a Telegram user, or None for everybody else."""
    chat = TelegramChat.objects.select_related("user").filter(telegram_id=telegram_id, is_blocked=False).first()
    if chat is None or not has_role(chat.user, Role.VIEWER):
        return None
    return Speaker(chat.user, chat)


class Throttle:
    """At most `most` in `seconds` for each key. Kept in this process: only one answers at a time."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._times: dict[int, deque[float]] = {}

    def allows(self, key: int) -> bool:
        """Count one use, if it is still allowed."""
        if not self.is_open(key):
            return False
        self._times.setdefault(key, deque()).append(time.monotonic())
        return True

    def is_open(self, key: int) -> bool:
        """Whether one more would be allowed."""
        now = time.monotonic()
        if len(self._times) > 10_000:
            self._times = {k: t for k, t in self._times.items() if t and now - t[-1] < self._seconds}
        times = self._times.get(key, deque())
        while times and now - times[0] >= self._seconds:
            times.popleft()
        return len(times) < self._most

    def forget(self, key: int) -> None:
        """Begin anew."""
        self._times.pop(key, None)
