"""Everything that a task, a command or a route works with, opened in one place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from include import database
from include.objects import ObjectStore
from include.settings import Settings, get_settings
from include.sources import LogSource, load_sources


@dataclass(frozen=True, slots=True)
class Workspace:
    """The settings and what they lead to: the object store, Postgres and the log sources."""

    settings: Settings
    store: ObjectStore
    engine: database.Engine
    sources: dict[str, LogSource]

    def source(self, name: str) -> LogSource:
        """A log source by name. Raises KeyError that lists the names there are."""
        if name not in self.sources:
            known = ", ".join(sorted(self.sources)) or "none"
            folders = self.settings.sources_path
            raise KeyError(f"no log source {name!r} in {folders}; there are: {known}")
        return self.sources[name]

    def chosen(self, name: str | None) -> list[LogSource]:
        """The source of this name, or all of them when no name is given."""
        return [self.source(name)] if name else list(self.sources.values())


@lru_cache(maxsize=1)
def open_workspace() -> Workspace:
    """The workspace that the environment describes."""
    settings = get_settings()
    return Workspace(
        settings,
        ObjectStore(settings),
        database.engine(settings),
        load_sources(settings.source_folders),
    )
