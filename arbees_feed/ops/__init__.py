"""What people and machines ask of a running feed: health, metrics, a status page."""
