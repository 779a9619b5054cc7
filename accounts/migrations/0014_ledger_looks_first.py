"""The ledger looks for a position before it makes one (accounts/ledger/ledger.sql)."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "ledger" / "ledger.sql"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_order_by_venue_id")]
    operations = [migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
