"""`python -m lifecycle` is the command `lifecycle`."""

import sys

from lifecycle.cli.main import app_main

sys.exit(app_main())
