"""Who may send, and where it belongs: ``configs/routes.yaml`` as a table of rules, deny by default.

AE titles are strings a peer chooses; they are compared, never used in a path or a query.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, ValidationError

from fairlead.configuration import read_mapping
from fairlead.errors import InvalidConfiguration, NotPermitted
from fairlead.records import NAME_PATTERN, Name, Route, Uid

PROJECT_PREFIX: Final = "kp-"
"""Called AE titles ``kp-<project>`` (Kaapana's convention) name the project themselves."""


def _network(value: Any) -> IPv4Network | IPv6Network:
    return ip_network(str(value), strict=False)


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class RouteRule(BaseModel):
    """One line of the table: all conditions must hold; the first rule that matches decides."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str
    project: Name
    center: Name
    calling_ae: tuple[str, ...] = ("*",)
    called_ae: tuple[str, ...] = ()
    from_networks: tuple[Network, ...]
    tls_subjects: tuple[str, ...] = ()
    projects_by_called_ae: tuple[Name, ...] | Literal["any"] = ()
    private_sop_classes: bool = False
    sop_classes: tuple[Uid, ...] = ()
    duplicates: Literal["version", "refuse"] = "version"
    max_instance_bytes: PositiveInt | None = None
    max_associations: PositiveInt | None = None
    deidentify_profile: Name | None = None

    def admits(self, *, calling_ae: str, peer: str, tls_subject: str | None) -> bool:
        """Return whether the sender's name, address and certificate are on this line."""
        address = ip_address(peer)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return (
            ("*" in self.calling_ae or calling_ae in self.calling_ae)
            and any(mapped in network for network in self.from_networks)
            and (not self.tls_subjects or tls_subject in self.tls_subjects)
        )

    def project_for(self, called_ae: str, own_titles: frozenset[str]) -> str | None:
        """Return the project that the called AE title chooses on this line, None when it chooses none."""
        if called_ae in own_titles or called_ae in self.called_ae:
            return self.project
        wanted = called_ae.removeprefix(PROJECT_PREFIX)
        if wanted == called_ae or not re.match(NAME_PATTERN, wanted):
            return None
        allowed = self.projects_by_called_ae == "any" or wanted == self.project or wanted in self.projects_by_called_ae
        return wanted if allowed else None


class Peer(BaseModel):
    """A node that we call: to report a storage commitment, or to fetch studies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ae_title: Annotated[str, Field(min_length=1, max_length=16)]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    tls: bool = False


class CalledAeUnknown(NotPermitted):
    """The sender is known, but the title it calls names nothing here (PS3.8 Table 9-21, reason 7)."""

    code = "called-ae-unknown"
    default_remedy = "Call the node's own AE title, or kp-<project> for a project that configs/routes.yaml allows."


class RouteTable(BaseModel):
    """All rules in order. ``own_titles`` are the titles under which the node itself is called."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[RouteRule, ...]
    own_titles: frozenset[str] = frozenset({"FAIRLEAD"})
    peers: tuple[Peer, ...] = ()

    def peer(self, ae_title: str) -> Peer | None:
        """Return where a title can be called, None when no peer has it."""
        return next((peer for peer in self.peers if peer.ae_title == ae_title), None)

    def match_rule(self, *, calling_ae: str, called_ae: str, peer: str, tls_subject: str | None = None) -> tuple[RouteRule, Route]:
        """Return the first rule that admits the sender, and the route it gives.

        Raises
        ------
        NotPermitted : no rule admits the calling AE from that address.
        CalledAeUnknown : the sender is admitted, but not to what it calls.
        """
        admitted = [rule for rule in self.rules if rule.admits(calling_ae=calling_ae, peer=peer, tls_subject=tls_subject)]
        for rule in admitted:
            if project := rule.project_for(called_ae, self.own_titles):
                return rule, Route(
                    project=project,
                    center=rule.center,
                    calling_ae=calling_ae,
                    called_ae=called_ae,
                    peer=peer,
                    tls_subject=tls_subject,
                    deidentify_profile=rule.deidentify_profile,
                    door="dimse",
                )
        if admitted:
            raise CalledAeUnknown(f"The called AE title {printable(called_ae)} is not served here.")
        raise NotPermitted(
            f"The calling AE title {printable(calling_ae)} at {peer} is not on the list.",
            remedy="Add the sender to configs/routes.yaml (calling AE, network, project).",
        )

    def match(self, *, calling_ae: str, called_ae: str, peer: str, tls_subject: str | None = None) -> Route:
        """Return where objects of this sender belong; raise NotPermitted when no rule admits it."""
        return self.match_rule(calling_ae=calling_ae, called_ae=called_ae, peer=peer, tls_subject=tls_subject)[1]

    def projects(self) -> tuple[tuple[str, str], ...]:
        """Return every (project, centre) that a rule names, in order, without repetition."""
        return tuple(dict.fromkeys((rule.project, rule.center) for rule in self.rules))


def printable(title: str) -> str:
    """Return a peer's title for a log line: quoted, 16 characters, nothing that moves a terminal's cursor."""
    return "'" + "".join(c if " " <= c <= "~" else "?" for c in title[:16]) + "'"


def load_routes(file: Path, *, own_title: str = "FAIRLEAD") -> RouteTable:
    """Read and check the table.

    Raises
    ------
    InvalidConfiguration : the file is missing, is not YAML, or a rule does not hold; every problem is named.
    """
    document = read_mapping(file, "routes file")
    if not {"routes"} <= set(document) <= {"routes", "peers"}:
        raise InvalidConfiguration(f"The routes file {file} must hold one key, routes, with a list of rules, and may hold peers.")
    try:
        return RouteTable(rules=document["routes"] or (), own_titles=frozenset({own_title}), peers=document.get("peers") or ())
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False))
        raise InvalidConfiguration(f"The routes file {file} does not hold: {problems}.") from error
