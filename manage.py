#!/usr/bin/env python
"""Django's command line for Hedgerow. Everything under `platform/` is on the path before Django starts."""

import os
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent / "platform"))

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hedgerow.settings")
    execute_from_command_line(sys.argv)
