"""What a device's own compiler has made of a step, read from its program, on a machine without the
device."""
