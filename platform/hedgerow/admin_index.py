"""The admin's first page: tiles over the list of tables, by the same functions as the desk page's."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.levels import label_of
from hedgerow.charts import load_equity_part
from hedgerow.desk import load_state, load_summary
from hedgerow.vitals import load_alerts, load_health


def show_tiles(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback for the index: what the templates below `admin/index.html` show."""
    now = timezone.now()
    tiles: dict[str, Any] = {"now": now}
    for load in (load_state, load_summary, load_equity_part, load_alerts, load_health):
        tiles |= load(now)
    troubled = [vital for vital in tiles["vitals"] if vital.mark != "good"]
    level = tiles["desk"].level
    return context | tiles | {"troubled": troubled, "level_title": label_of(level)}
