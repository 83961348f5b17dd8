"""Nothing is lost between the event log and its followers, whoever of them is killed."""
