"""The three roles as groups, and the trigger that lets the audit log only grow."""

from django.db import migrations

ROLES = ("viewer", "trader", "admin")

LOCK = """
CREATE FUNCTION identity_auditentry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log can only grow: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER identity_auditentry_only_grows BEFORE UPDATE OR DELETE ON identity_auditentry
    FOR EACH ROW EXECUTE FUNCTION identity_auditentry_refuse();
"""
UNLOCK = """
DROP TRIGGER identity_auditentry_only_grows ON identity_auditentry;
DROP FUNCTION identity_auditentry_refuse();
"""


def make_roles(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [("identity", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [
        migrations.RunPython(make_roles, migrations.RunPython.noop),
        migrations.RunSQL(LOCK, UNLOCK),
    ]
