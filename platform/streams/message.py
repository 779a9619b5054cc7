"""One message as a reader group got it: where it stands on the bus, its bytes, and how often it was handed out."""

from dataclasses import dataclass, field

from streams.names import EVENT_STREAMS
from trading.commands import Command, decode_command
from trading.events import Event, decode


@dataclass(slots=True, eq=False)
class Message:
    """One entry of one stream. `deliveries` is 1 for a first delivery; more means that someone failed on it before."""

    stream: str
    entry_id: str
    body: bytes
    deliveries: int = 1
    _event: Event | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """What names this message on the whole bus."""
        return self.stream, self.entry_id

    @property
    def is_event(self) -> bool:
        """Whether the stream carries nothing but events."""
        return self.stream in EVENT_STREAMS

    def event(self) -> Event:
        """The event in it, decoded once; raises InvalidValue."""
        if self._event is None:
            self._event = decode(self.body)
        return self._event

    def forget(self) -> None:
        """Let the decoded event go; who asks for it again decodes it again."""
        self._event = None

    def command(self) -> Command:
        """The order command in it; raises InvalidValue."""
        return decode_command(self.body)
