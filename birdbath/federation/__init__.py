"""Several pools seen as one: queries over all of them, submissions to the one that suits."""
