"""USB: host controllers and the devices plugged into them."""
