"""Counts across centres: each centre answers under its own policy, and the answers do not leak."""

from __future__ import annotations

from fairlead.federation.asking import Asking, CenterAnswer, summed
from fairlead.federation.audit import verify as verify_audit
from fairlead.federation.bearer import check_bearer
from fairlead.federation.centers import Center, Centers
from fairlead.federation.gateway import Gateway
from fairlead.federation.hub import Hub
from fairlead.federation.policy import Bearer, Policy, load_policy
from fairlead.federation.serving import open_gateway, serve

__all__ = [
    "Asking",
    "Bearer",
    "Center",
    "CenterAnswer",
    "Centers",
    "Gateway",
    "Hub",
    "Policy",
    "check_bearer",
    "load_policy",
    "open_gateway",
    "serve",
    "summed",
    "verify_audit",
]
