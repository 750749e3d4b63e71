"""What the station itself knows about idTags: the local authorization list and the cache."""
