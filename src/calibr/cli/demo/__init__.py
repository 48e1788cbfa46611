"""The demo: the main job end to end, over real HTTP between processes, on a sandbox store that is gone afterwards."""
