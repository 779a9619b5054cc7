"""What a dispatch asks of open orders is found by index: an exposure's, an account's, and the best of all the others."""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "standing.sql"
OPEN = models.Q(status__in=["accepted", "initialized", "partially_filled", "submitted", "unknown"])

BEST = """
CREATE INDEX order_best ON accounts_order (
    market_id, book_side(outcome, action), reach(outcome, action, price)
) WHERE status IN ('accepted', 'initialized', 'partially_filled', 'submitted', 'unknown')
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0016_names")]
    operations = [
        migrations.RunSQL(SQL.read_text(encoding="utf-8"), migrations.RunSQL.noop),
        migrations.RunSQL(BEST, "DROP INDEX order_best"),
        migrations.RemoveIndex(model_name="order", name="order_in_flight"),
        migrations.RemoveIndex(model_name="order", name="order_reserving"),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                fields=["exposure_id"],
                name="order_in_flight",
                condition=models.Q(
                    exposure_id__isnull=False,
                    status__in=["accepted", "initialized", "partially_filled", "submitted", "unknown"],
                ),
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["account", "market"], name="order_going", condition=OPEN),
        ),
    ]
