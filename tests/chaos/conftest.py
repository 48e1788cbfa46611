"""Where the chaos tests find what they share."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "simulation"), str(HERE / "checker"), str(HERE.parent / "support")]
