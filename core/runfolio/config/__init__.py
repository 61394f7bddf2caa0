"""Where settings come from, which project and store are meant, whether it is trusted, and what is kept secret.

The environment and configuration files are read here and nowhere else. Nothing in this package talks to a store.
"""

from __future__ import annotations

from runfolio.config.describing import Described, describe
from runfolio.config.identity import user_id
from runfolio.config.origins import Origin
from runfolio.config.places import Places
from runfolio.config.project import Project, find_project
from runfolio.config.redaction import Redactor, redact_argv, redact_environment, redact_text, redact_url
from runfolio.config.resolving import resolve, store_address
from runfolio.config.settings import Setting, Settings, all_settings
from runfolio.config.spool import spool_candidates, spool_folder
from runfolio.config.stores import StoreAddress, StoreProfile
from runfolio.config.targets import TargetProfile, require_trusted_target
from runfolio.config.trust import Approval, approve, approved, needs_trust, require_trust, revoke, trust_url

__all__ = [
    "Approval",
    "Described",
    "Origin",
    "Places",
    "Project",
    "Redactor",
    "Setting",
    "Settings",
    "StoreAddress",
    "StoreProfile",
    "TargetProfile",
    "all_settings",
    "approve",
    "approved",
    "describe",
    "find_project",
    "needs_trust",
    "redact_argv",
    "redact_environment",
    "redact_text",
    "redact_url",
    "require_trust",
    "require_trusted_target",
    "resolve",
    "revoke",
    "spool_candidates",
    "spool_folder",
    "store_address",
    "trust_url",
    "user_id",
]
