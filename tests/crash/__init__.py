"""The server is killed, again and again, while clients that keep journals work with it."""
