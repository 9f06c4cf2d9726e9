"""`python -m crosszone.cli`, for where the program is not on the path."""

import sys

from crosszone.cli import main

sys.exit(main())
