"""One tree of settings: ``configs/fairlead.yaml``, overridden by ``FAIRLEAD_*`` variables (``__`` between levels).

Order, strongest first: arguments in code, environment, the file, the defaults here. Every field is commented in
configs/fairlead.yaml, and tests/test_docs.py keeps the two in step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError, YamlConfigSettingsSource

from fairlead.configuration import place_of, read_mapping, unreadable_variables
from fairlead.errors import InvalidConfiguration
from fairlead.files import usable_folder
from fairlead.records import Name
from fairlead.resources import configs_folder


class Section(BaseModel):
    """Base of every section: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeTlsSettings(Section):
    """DICOM TLS by the BCP 195 profile (PS3.15 B.9); on when a certificate is named."""

    certificate: Path | None = None
    key: Path | None = None
    ca_file: Path | None = None
    mutual: bool = True
    plain_port: int | None = Field(default=None, ge=0, le=65535)


class NodeWebSettings(Section):
    """STOW-RS, ``/healthz`` and ``/metrics``; on when a port is named."""

    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65535)
    token: SecretStr = SecretStr("")
    max_request_bytes: PositiveInt = 64 * 1024**3


class NodeSettings(Section):
    """The DICOM node."""

    host: str = "127.0.0.1"
    port: int = Field(default=11112, ge=0, le=65535)
    ae_title: str = Field(default="FAIRLEAD", min_length=1, max_length=16)
    routes: Path | None = None
    settle_after_s: PositiveFloat = 5.0
    quiet_after_s: PositiveFloat = 60.0
    workers: int = Field(default=1, ge=1, le=32)
    max_associations: PositiveInt = 64
    max_associations_per_peer: PositiveInt = 16
    max_associations_per_title: PositiveInt = 32
    max_pdu_bytes: PositiveInt = 131_072
    max_instance_bytes: PositiveInt = 4 * 1024**3
    max_bytes_in_flight: PositiveInt = 16 * 1024**3
    acse_timeout_s: PositiveFloat = 5.0
    network_timeout_s: PositiveFloat = 60.0
    low_water_bytes: int = Field(default=512 * 1024**2, ge=0)
    drain_grace_s: PositiveFloat = 30.0
    report_retry_s: PositiveFloat = 5.0
    report_for_s: PositiveFloat = 86_400.0
    audit_messages: bool = False
    archive_bucket: str | None = Field(default=None, pattern=r"^(s3://[^/?#\s@:]+(/[^?#\s]*)?|file:///[^?#\s]+)$")
    tls: NodeTlsSettings = NodeTlsSettings()
    web: NodeWebSettings = NodeWebSettings()


class BucketSettings(Section):
    """One watched prefix in a bucket."""

    url: str = Field(pattern=r"^s3://[^/?#\s]+(/[^?#\s]*)?$")
    project: Name = "default"
    center: Name = "local"


class WatchSettings(Section):
    """The storage watcher for OME files."""

    folder: Path | None = None
    project: Name = "default"
    center: Name = "local"
    stable_after_s: PositiveFloat = 2.0
    buckets: tuple[BucketSettings, ...] = ()
    bucket_every_s: PositiveFloat = 60.0


class IndexSettings(Section):
    """The searchable index."""

    backend: Literal["embedded", "opensearch"] = "embedded"
    url: str = "https://localhost:9200"
    name: Name = "fairlead"
    user: str = "fairlead"
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    fields: Path | None = None


class HealthSettings(Section):
    """What HealthDCAT-AP Release 8 asks of a catalogue and no header says."""

    access_body: str = ""
    access_body_email: str = ""
    category: str = Field(default="EHRS", pattern=r"^[A-Z_]+$")
    theme: str = Field(default="", pattern=r"^[A-Z_]*$")
    country: str = Field(default="", pattern=r"^([A-Z]{3})?$")


class PidSettings(Section):
    """Persistent identifiers of datasets and images; Fairlead writes them into records, the registration is the centre's."""

    kind: Literal["none", "doi", "handle", "ark"] = "none"
    prefix: str = Field(default="", pattern=r"^[0-9A-Za-z./-]*$")


class OidcSettings(Section):
    """Tokens of an identity provider that stand for the catalog's users; its keys come from a file, never from the network."""

    issuer: str = ""
    audience: str = ""
    keys_file: Path | None = None


class PingSettings(Section):
    """Pings between FAIR Data Points and indexes of them; both ways are off while they name nobody."""

    accept: tuple[str, ...] = ()
    announce: tuple[str, ...] = ()


class CatalogSettings(Section):
    """The FAIR Data Point, and what every record says about its publisher."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    base_url: str = "http://127.0.0.1:8000"
    title: str = "Fairlead FAIR Data Point"
    description: str = "Imaging cohorts, de-identified, as OME-Zarr."
    publisher_name: str = "Fairlead demonstration centre"
    publisher_iri: str = "https://example.org/centre"
    contact_email: str = "data-steward@example.org"
    license: str = "https://creativecommons.org/licenses/by/4.0/"
    language: str = "en"
    harvest_private: bool = False
    fdp_draft: bool = False
    bucket: str = ""
    ping: PingSettings = PingSettings()
    health: HealthSettings = HealthSettings()
    pid: PidSettings = PidSettings()
    oidc: OidcSettings = OidcSettings()


class ExportSettings(Section):
    """De-identification, conversion and approval."""

    profile: str = "basic"
    four_eyes: bool = True
    stewards: tuple[str, ...] = ()
    ngff: Literal["0.5", "0.6"] = "0.5"
    geometry: Literal["strict", "split", "annotate"] = "strict"
    drain_batch: PositiveInt = 200
    withdrawn_bytes: Literal["keep", "remove"] = "keep"


class GatewaySettings(Section):
    """The gateway, through which other centres ask this one."""

    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=0, le=65535)
    url: str = "http://127.0.0.1:8090"
    governance: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    ca_file: Path | None = None
    mailbox: str = ""
    poll_s: PositiveFloat = 5.0


class FederationSettings(Section):
    """The hub that this installation is when it asks other centres."""

    hub: Name = "local"
    project: str = ""
    purpose: str = ""
    wait_s: PositiveFloat = 10.0
    certificate: Path | None = None
    key: Path | None = None
    ca_file: Path | None = None
    token: SecretStr = SecretStr("")
    private: bool = False


class WorkbenchSettings(Section):
    """The Cohorts page. ``projects`` names the users of each project ("*" is everybody); without it everybody sees every project."""

    projects: Mapping[str, tuple[str, ...]] | None = None
    counts_only: tuple[str, ...] = ()
    pictures_at_ingest: NonNegativeInt = 500


class LogSettings(Section):
    """One format everywhere."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


class Settings(BaseSettings):
    """Everything that can be set. Paths below ``home`` are derived, so one variable moves all embedded state."""

    model_config = SettingsConfigDict(
        env_prefix="FAIRLEAD_", env_nested_delimiter="__", extra="forbid", frozen=True, nested_model_default_partial_update=True
    )

    home: Path = Path(".fairlead")
    project: Name = "default"
    center: Name = "local"
    database_url: SecretStr | None = None
    archive: Path | None = None
    published: Path | None = None
    secrets: Path | None = None
    node: NodeSettings = NodeSettings()
    watch: WatchSettings = WatchSettings()
    index: IndexSettings = IndexSettings()
    catalog: CatalogSettings = CatalogSettings()
    export: ExportSettings = ExportSettings()
    workbench: WorkbenchSettings = WorkbenchSettings()
    gateway: GatewaySettings = GatewaySettings()
    federation: FederationSettings = FederationSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the YAML file below the environment; there is no ``.env`` file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)

    @cached_property
    def home_folder(self) -> Path:
        """Absolute home of all embedded state."""
        try:
            return self.home.expanduser().resolve()
        except (RuntimeError, OSError) as error:
            raise InvalidConfiguration(
                f"The home folder {self.home} cannot be used (nobody has such a home).", remedy="Set FAIRLEAD_HOME."
            ) from error

    @cached_property
    def archive_folder(self) -> Path:
        """Where received DICOM bytes live."""
        return (self.archive or self.home_folder / "archive").resolve()

    @cached_property
    def published_folder(self) -> Path:
        """Where published datasets live; the catalog serves it."""
        return (self.published or self.home_folder / "published").resolve()

    @cached_property
    def staging_folder(self) -> Path:
        """Where exports are built; on the same file system as the published folder, so that publication is a rename."""
        return self.published_folder.parent / f".{self.published_folder.name}-staging"

    @cached_property
    def secrets_folder(self) -> Path:
        """Project keys, readable by the owner only."""
        return (self.secrets or self.home_folder / "secrets").resolve()

    @cached_property
    def watch_folder(self) -> Path:
        """The watched folder for OME files."""
        return (self.watch.folder or self.home_folder / "watch").resolve()

    @cached_property
    def watched_buckets_folder(self) -> Path:
        """Copies of what lies in watched buckets."""
        return self.home_folder / "watched-buckets"

    @cached_property
    def index_file(self) -> Path:
        """The embedded index."""
        return self.home_folder / "index.sqlite"

    @cached_property
    def database(self) -> str:
        """SQLAlchemy URL of the ledger, cohorts and publications."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home_folder / 'fairlead.sqlite'}"

    @cached_property
    def fields_file(self) -> Path:
        """The field catalogue."""
        return self.index.fields or configs_folder() / "fields.yaml"

    @cached_property
    def governance_file(self) -> Path:
        """Who may ask this centre, and how much an answer may tell."""
        return self.gateway.governance or configs_folder() / "governance.yaml"

    @cached_property
    def routes_file(self) -> Path:
        """The AE table."""
        return self.node.routes or configs_folder() / "routes.yaml"


def settings_file(given: Path | None = None) -> Path | None:
    """Return the file to read: the given one, ``$FAIRLEAD_CONFIG``, ``configs/fairlead.yaml`` here, or the packaged one.

    Raises
    ------
    InvalidConfiguration : a file that was named does not exist.
    """
    named = given or (Path(os.environ["FAIRLEAD_CONFIG"]) if os.environ.get("FAIRLEAD_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise InvalidConfiguration(f"There is no settings file {named}.", remedy="Correct --config or $FAIRLEAD_CONFIG.")
        return named
    found = [path for path in (Path("configs/fairlead.yaml"), configs_folder() / "fairlead.yaml") if path.is_file()]
    return found[0] if found else None


def load_settings(file: Path | None = None) -> Settings:
    """Read the settings, with every problem of the file or the environment in one message.

    Raises
    ------
    InvalidConfiguration : unknown keys, wrong types or broken YAML; secrets are never repeated in the message.
    """
    path = settings_file(file)
    if path is not None:
        read_mapping(path, "settings file")

    class _FromFile(Settings):
        model_config = SettingsConfigDict(yaml_file=path)

    try:
        return _FromFile()
    except ValidationError as error:
        problems = "; ".join(f"{place_of(item['loc'])}: {item['msg']}" for item in error.errors(include_input=False))
        raise InvalidConfiguration(f"The settings ({path or 'environment'}) do not hold: {problems}.", remedy=_REMEDY) from error
    except SettingsError as error:
        named = ", ".join(unreadable_variables(Settings)) or "A FAIRLEAD_* variable"
        raise InvalidConfiguration(f"{named} holds no JSON, which it must to set several values at once.", remedy=_REMEDY) from error


_REMEDY: Final = "Correct the file or the variable; `fairlead config check` lists every problem."


def prepare_home(settings: Settings) -> Path:
    """Return the home of all embedded state, made readable by its owner only when it is not there."""
    return usable_folder(settings.home_folder, "home folder", mode=0o700)
