"""Real SOAP toolkits, and requests shaped like those of toolkits long gone, against a running server."""
