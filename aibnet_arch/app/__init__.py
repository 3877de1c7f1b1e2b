"""`basicsr app`: a page in the browser to drop photos on. It is served on this machine, to this machine alone."""
