"""The demo: the main job end to end, over real HTTP between processes, on a sandbox store that is gone afterwards."""

from calibr.cli.demo.scene import Wish
from calibr.cli.demo.story import tell

__all__ = ["Wish", "tell"]
