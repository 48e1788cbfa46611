"""Architecture tests read the tree only: no server, no network."""
