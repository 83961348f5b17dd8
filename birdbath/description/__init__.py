"""Submit descriptions: from the text that `condor_submit` takes to jobs that can be sent to a Schedd.

`language` reads the text with HTCondor's own parser; `jobs` turns the commands of one job into attributes and
files; `confined` makes a text that came from elsewhere safe to be read.
"""

from birdbath.description.errors import DescriptionError
from birdbath.description.jobs import PlannedJob, Planner
from birdbath.description.language import Description, QueueStatement, Row

__all__ = ["Description", "DescriptionError", "PlannedJob", "Planner", "QueueStatement", "Row"]
