"""Of orders that no exposure made the dispatch reads sums and the best, not each (strategies/dispatch.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "dispatch.sql"


class Migration(migrations.Migration):
    dependencies = [("strategies", "0013_dispatch_tells_repriced"), ("accounts", "0017_orders_nearest_first")]
    operations = [migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
