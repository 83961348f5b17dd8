"""Where listeners put events: files, mail, chat, and whatever Apprise reaches."""
