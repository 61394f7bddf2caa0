"""Source snapshots: what belongs to a project, as Git objects, in packs of the store, and back again."""

from runfolio.snapshot.objects import Entry, printable
from runfolio.snapshot.project_files import NEVER, OUTPUTS, ProjectFiles, look_through
from runfolio.snapshot.snapshot import Snapshot

__all__ = ["NEVER", "OUTPUTS", "Entry", "ProjectFiles", "Snapshot", "look_through", "printable"]
