"""One module per device that puts a section into the stream."""
