"""`python -m checker`, or `python tests/chaos/checker`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from check import main

sys.exit(main(sys.argv[1:]))
