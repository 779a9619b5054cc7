"""The dispatch orders in one market after the other, and reads venue states, market limits and what accounts can pay."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "dispatch.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("strategies", "0007_doubted_orders"),
        ("accounts", "0010_desk_state"),
        ("markets", "0002_limits_and_states"),
    ]
    operations = [migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop)]
