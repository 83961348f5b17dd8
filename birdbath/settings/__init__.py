"""The settings of a server."""

from birdbath.settings.access import LEVELS
from birdbath.settings.model import InvalidSettings, Settings, load_settings, misspelt, settings_from

__all__ = ["LEVELS", "InvalidSettings", "Settings", "load_settings", "misspelt", "settings_from"]
