"""Settings: defaults < mien.toml < MIEN_* environment < flags.

The fields below are the one place where a setting has its name, default, range and description; `mien config`, the
error messages and the reference page in the docs all come from them. It is long, for all settings stand in one list.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mien.errors import ConfigError
from mien.masking import without_password
from mien.observation import SOURCE_NAME, Emotion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "NOWHERE",
    "TABLES",
    "AlertSettings",
    "Preview",
    "Settings",
    "SettingsSection",
    "Shape",
    "SourceSettings",
    "checked",
    "effective",
    "fields",
    "load",
    "parse_base_path",
    "parse_networks",
]

Preview = Literal["off", "blurred", "plain"]
"""Whether a source sends small pictures of what it sees, and whether with the faces hidden."""


class SettingsSection(BaseModel):
    """A table in mien.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _shape(value: Any) -> tuple[tuple[float, float], ...]:
    """Return the corners of a rectangle or polygon, 0 to 1."""
    what = "a rectangle [x, y, width, height] or a polygon of at least three [x, y], all from 0 to 1"
    numbers: Any = value
    if (
        isinstance(value, list | tuple)
        and len(value) == 4
        and not any(isinstance(item, list | tuple) for item in value)
    ):
        x, y, width, height = value
        if all(isinstance(number, int | float) for number in value) and width > 0 and height > 0:
            numbers = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    try:
        corners = tuple((float(x), float(y)) for x, y in numbers)
    except (TypeError, ValueError):
        raise ValueError(f"expected {what}") from None
    if len(corners) < 3 or not all(0 <= at <= 1 + 1e-9 for corner in corners for at in corner):
        raise ValueError(f"expected {what}")
    return corners


Shape = Annotated[tuple[tuple[float, float], ...], BeforeValidator(_shape)]
"""The corners of a part of the frame: x, y, from 0 to 1 of its width and height."""


class SourceSettings(SettingsSection):
    """One of several sources that `mien watch` watches when it is given none: a table [[source]] in mien.toml."""

    url: str = Field(min_length=1, description="A camera's number or device, a stream's URL, a video, or demo.")
    name: str | None = Field(
        None, pattern=f"^{SOURCE_NAME}$", description="What it is called; default: made from the url."
    )
    loop: bool = Field(False, description="Play a video again and again.")
    mask: tuple[Shape, ...] = Field(
        (),
        description="Parts to blank before anything looks at them: rectangles [x, y, width, height] and polygons "
        "[[x, y], [x, y], [x, y], ...], all from 0 to 1 of the frame's width and height.",
    )
    fps: float | None = Field(None, gt=0, le=240, description="In place of watch.fps.")
    preview: Preview | None = Field(None, description="In place of watch.preview.")
    remote_preview: Preview | None = Field(None, description="In place of watch.remote_preview.")
    confidence: float | None = Field(None, gt=0, lt=1, description="In place of vision.confidence.")
    max_side: int | None = Field(None, ge=160, le=4096, description="In place of vision.max_side.")
    abstain_below: float | None = Field(None, ge=0, le=1, description="In place of vision.abstain_below.")
    smoothing_s: float | None = Field(None, ge=0, le=10, description="In place of vision.smoothing_s.")


class AlertSettings(SettingsSection):
    """Something to be told about: a table [[alert]] in mien.toml, which `mien forward` heeds."""

    name: str = Field(pattern=f"^{SOURCE_NAME}$", description="What it is called, in its topic and messages.")
    on: Literal["share", "offline", "drops", "store"] = Field(
        description="An emotion's 'share' of the faces, a source 'offline', a full outbox that 'drops', or no 'store'."
    )
    source: str | None = Field(
        None, pattern=f"^{SOURCE_NAME}$", description="The source that it is about; default: each one."
    )
    emotion: Emotion | None = Field(None, description="With share: the emotion.")
    above: float | None = Field(None, ge=0, lt=1, description="With share: alert when it is larger.")
    below: float | None = Field(None, gt=0, le=1, description="With share: alert when it is smaller.")
    window_s: int = Field(
        60,
        ge=1,
        le=3600,
        description="Seconds: with share, what it is taken over; with drops, how long it stays raised.",
    )
    min_faces: int = Field(10, ge=1, le=1_000_000, description="With share: the fewest faces seen in the window.")
    after_s: float = Field(60, ge=0, le=86400, description="With offline and store: how many seconds it must last.")
    cooldown_s: float = Field(300, ge=1, le=86400, description="Seconds before it is raised again.")
    webhook: SecretStr | None = Field(None, description="An http:// or https:// URL that gets a POST with the message.")

    @field_validator("webhook")
    @classmethod
    def _is_an_address(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url else None
        if parts and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("expected an URL that begins with http:// or https://")
        return url

    @model_validator(mode="after")
    def _is_whole(self) -> AlertSettings:
        limits = [self.above, self.below].count(None)
        if self.on == "share" and (self.emotion is None or limits != 1):
            raise ValueError("on = 'share' needs emotion, and either above or below")
        if self.on != "share" and (self.emotion is not None or limits != 2):
            raise ValueError("emotion, above and below go with on = 'share' alone")
        if self.on == "store" and self.source is not None:
            raise ValueError("on = 'store' is about no source")
        return self


TABLES: dict[str, type[BaseModel]] = {"source": SourceSettings, "alert": AlertSettings}
"""Settings that are lists of tables, [[source]] and [[alert]]."""

NOWHERE = Path("/nonexistent/mien")
"""The state folder of a user without a home folder: nothing is there, and nothing is ever made there."""

NOT_SETTINGS = {"MIEN_CONFIG", "MIEN_TEST_DATA"}
"""MIEN_* names that are read, but are no setting."""


class BrokerSettings(SettingsSection):
    """The MQTT broker that watch and forward talk to."""

    host: str | None = Field(None, min_length=1, description="An outside broker's host; default: the built-in broker.")
    port: int | None = Field(None, ge=1, le=65535, description="Default 1883; the next free one if that is taken.")
    listen: str = Field(
        "127.0.0.1", description="Where the built-in broker listens; 0.0.0.0 for other machines, after `mien secrets`."
    )
    username: str | None = Field(None, description="For an outside broker; the built-in one makes its own.")
    password: SecretStr | None = Field(None, description="For an outside broker; the built-in one makes its own.")
    tls: bool = Field(False, description="Encrypt the connection to an outside broker; its port is then 8883.")
    ca: Path | None = Field(None, description="Certificates to trust, PEM; default: the system's. Implies tls.")
    certificate: Path | None = Field(None, description="This client's certificate, PEM. Implies tls.")
    key: Path | None = Field(None, description="The private key of `certificate`, where that file lacks it.")
    server_certificate: Path | None = Field(
        None, description="The built-in broker's certificate, PEM: it then speaks TLS, on port 8883 by default."
    )
    server_key: Path | None = Field(None, description="The private key of `server_certificate`.")
    prefix: str = Field("mien", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", description="What topics begin with.")
    keepalive_s: int = Field(
        15, ge=1, le=3600, description="A connection that is silent for twice as long counts as broken, in seconds."
    )


class VisionSettings(SettingsSection):
    """How faces are found and read."""

    model: Path | None = Field(
        None,
        description="fer2013 or ferplus, as pulled to this machine or else as it comes with Mien, or an ONNX file with "
        "Mien's contract; default: fer2013.",
    )
    detector: str = Field(
        "yunet",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="What finds faces: yunet, or the name that another package registered in mien.detectors.",
    )
    confidence: float = Field(0.7, gt=0, lt=1, description="Faces that the detector is less sure of are left out.")
    max_side: int = Field(640, ge=160, le=4096, description="Frames are detected at most this large, in pixels.")
    abstain_below: float | None = Field(
        None, ge=0, le=1, description="No emotion is named below this probability; default: the model's own threshold."
    )
    smoothing_s: float = Field(0.25, ge=0, le=10, description="Time constant of the smoothing per track, in seconds.")
    read_every_s: float = Field(0.1, ge=0, le=2, description="Seconds until a face is read again; 0: on each frame.")
    device: str = Field(
        "auto",
        pattern="^(auto|cpu|cuda|tensorrt|openvino|coreml)$",
        description="What the emotion model computes on: auto, cpu, cuda, tensorrt, openvino or coreml.",
    )


class WatchSettings(SettingsSection):
    """How live sources are watched."""

    fps: float | None = Field(None, gt=0, le=240, description="The most frames analysed a second; default: all.")
    stats_every_s: float = Field(10.0, ge=1, le=3600, description="Seconds between two messages of statistics.")
    remote: bool = Field(
        False, description="Take threshold, fps and pause by MQTT (`mien fleet set`) from who may publish there."
    )
    preview: Preview = Field(
        "off", description="A small picture each second for the page Live: off, blurred (faces are hidden) or plain."
    )
    remote_preview: Preview = Field(
        "off",
        description="The most that a preview may show which somebody asks for from afar, for an hour at a time: off, "
        "blurred or plain.",
    )
    calibrate_s: int | None = Field(
        None,
        ge=3,
        le=600,
        description="Also tell what lies above each face's usual look, which is that of so many first seconds in view; "
        "default: not.",
    )
    lsl: bool = Field(
        False, description="Also send what each source shows to the Lab Streaming Layer (extra lsl), on this machine."
    )
    lsl_network: bool = Field(
        False, description="Let the network see these streams, as liblsl's own lsl_api.cfg says; nothing guards them."
    )
    home_assistant: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
        description="Announce sources to Home Assistant under its discovery prefix, 'homeassistant' as a rule.",
    )


class OutboxSettings(SettingsSection):
    """The queue on disk between watch and the broker."""

    max_rows: int = Field(1_000_000, ge=100, le=100_000_000, description="A full outbox drops the oldest and counts.")
    max_age_days: float | None = Field(
        None, gt=0, le=3650, description="What was never sent is dropped, and counted, at this age; default: kept."
    )
    resend_after_s: float = Field(30.0, ge=1, le=3600, description="Seconds before what is unconfirmed is sent again.")
    in_flight: int = Field(500, ge=1, le=10_000, description="How many observations may be unconfirmed by the broker.")
    delivery: str = Field(
        "stored",
        pattern="^(stored|published)$",
        description="Keep an observation until it is 'stored', or only until the broker has it ('published').",
    )


class ForwardSettings(SettingsSection):
    """How observations go from the broker to the store."""

    batch_rows: int = Field(500, ge=1, le=10_000, description="Commit after this many observations at the latest …")
    batch_s: float = Field(0.2, ge=0.01, le=60, description="… or after this many seconds.")
    group: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Forwarders of one group share the work, where the broker has shared subscriptions (MQTT 5).",
    )
    sources: str = Field(
        "",
        pattern=f"^$|^{SOURCE_NAME}(,{SOURCE_NAME})*$",
        description="Forward only these sources, separated by commas; default: all.",
    )
    markers: bool = Field(
        False, description="Keep the markers that come by MQTT (`<prefix>/<source>/marker`) from who may publish there."
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Serve /metrics (Prometheus) and /health on this port of 127.0.0.1."
    )


class StoreSettings(SettingsSection):
    """The database."""

    url: SecretStr | None = Field(
        None, description="An URL, such as sqlite:////var/lib/mien/mien.db; default: mien.db in `home`."
    )
    keep_raw_days: int = Field(30, ge=1, le=36500, description="Days that raw rows are kept after they came.")
    keep_rollups_days: int | None = Field(
        None, ge=1, le=36500, description="Days that rollups are kept, and no shorter than raw rows; default: for good."
    )


BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
LONGEST_BASE_PATH = 200
OWN_PATHS = {"api", "assets", "docs", "events", "favicon.ico", "history", "login", "logout", "reports", "system", "try"}
"""What the dashboard's own paths begin with; a proxy that passes its path on could not be told from these."""


class DashboardSettings(SettingsSection):
    """The web page and REST API."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int | None = Field(None, ge=1, le=65535, description="Default 8080; the next free one if that is taken.")
    allowed_hosts: str = Field("", description="Further names under which the page may be called, separated by commas.")
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of proxies whose `X-Forwarded-For`, `-Host`, `-Proto` and `-Prefix` are "
        "believed, separated by commas; default: none.",
    )
    root_path: str = Field(
        "", description="The path under which a proxy shows the page, such as `/mien`, where it sends no prefix."
    )
    login: bool = Field(
        False,
        description="Ask for a login on this machine too; from other machines one is always needed (`mien access`).",
    )
    login_hours: float = Field(12.0, gt=0, le=87_600, description="Hours that a login lasts.")
    tls_cert: Path | None = Field(None, description="Serve HTTPS: the certificate and its chain, PEM.")
    tls_key: Path | None = Field(None, description="The private key of `tls_cert`, where that file lacks it.")
    media: Path | None = Field(
        None, description="Videos, tables and photos in this folder can be chosen on the page Reports; default: none."
    )
    upload_mb: int = Field(
        2048, ge=1, le=1_000_000, description="The most MiB that files waiting for a report may have together."
    )
    report_mb: int = Field(
        4096, ge=512, le=1_000_000, description="A report's process, or the demo's, may have so many MiB of memory."
    )
    requests_per_s: float = Field(
        100.0, gt=0, le=1e6, description="One caller may ask the API so often in a second; five times as often at once."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        parse_networks(text)
        return text

    @field_validator("root_path")
    @classmethod
    def _is_a_free_path(cls, text: str) -> str:
        path = parse_base_path(text)
        if (first := path[1:].partition("/")[0]) in OWN_PATHS:
            raise ValueError(f"the dashboard has paths of its own that begin with /{first}: take another")
        return path


class MeetingSettings(SettingsSection):
    """`[meeting]`: how what is said in meetings is judged."""

    lexicon: Path | None = Field(
        None, description="A CSV (word, weight, if wanted language) of how pleasant words are; default: VADER's."
    )


class Settings(SettingsSection):
    """Every setting of Mien."""

    home: Path = Field(
        default_factory=lambda: _usual_home(),  # defined below
        description="The folder that holds the outbox, the store and the broker's state.",
    )
    broker: BrokerSettings = BrokerSettings()
    vision: VisionSettings = VisionSettings()
    watch: WatchSettings = WatchSettings()
    source: tuple[SourceSettings, ...] = ()
    outbox: OutboxSettings = OutboxSettings()
    forward: ForwardSettings = ForwardSettings()
    store: StoreSettings = StoreSettings()
    dashboard: DashboardSettings = DashboardSettings()
    meeting: MeetingSettings = MeetingSettings()
    alert: tuple[AlertSettings, ...] = ()

    @field_validator("source", "alert")
    @classmethod
    def _have_names_of_their_own(cls, given: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        names = [item.name for item in given if item.name]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two {info.field_name}s are called '{min(twice)}'")
        return given

    def overridden(self, source: SourceSettings) -> Settings:
        """Return these settings as they are for one source."""

        def given(*names: str) -> dict[str, Any]:
            return {name: value for name in names if (value := getattr(source, name)) is not None}

        watch = self.watch.model_copy(update=given("fps", "preview", "remote_preview"))
        vision = self.vision.model_copy(update=given("confidence", "max_side", "abstain_below", "smoothing_s"))
        return self.model_copy(update={"watch": watch, "vision": vision})

    @property
    def store_url(self) -> str:
        """The store's URL: the one set, or SQLite's `mien.db` in the state folder.

        Raises:
            ConfigError: None is set, and there is no state folder.
        """
        if self.store.url:
            return self.store.url.get_secret_value()
        home = self.ensure_home() if self.home == NOWHERE else self.home.absolute()
        return f"sqlite:///{home / 'mien.db'}"

    def ensure_home(self) -> Path:
        """Return the state folder, made if need be, open to its owner alone.

        Raises:
            ConfigError: It cannot be made or written, or this user has no home folder and none was named.
        """
        if self.home == NOWHERE:
            raise ConfigError("there is no state folder, as this user has no home folder: name one with MIEN_HOME")
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self.home, os.W_OK | os.X_OK):
                raise PermissionError("permission denied")
        except OSError as error:
            raise ConfigError(
                f"cannot write the state folder '{self.home}' ({error.strerror or error}): name another with MIEN_HOME"
            ) from error
        return self.home


def _usual_home() -> Path:
    """Return the state folder where none was named."""
    if named := os.environ.get("MIEN_HOME"):
        return Path(named)
    try:
        usual = Path(platformdirs.user_data_dir("mien", appauthor=False))
    except RuntimeError:  # no HOME, and a user that the system doesn't know, as in containers
        return NOWHERE
    return usual if usual.is_absolute() else NOWHERE


def parse_networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return networks that are named with commas between them; an address is a network of one.

    Raises:
        ValueError: One of them is neither, or is everybody.
    """
    networks = []
    for name in filter(None, map(str.strip, text.split(","))):
        try:
            network = ipaddress.ip_network(name)
        except ValueError:
            raise ValueError(f"expected addresses or networks such as 10.0.0.0/24, got {name[:60]!a}") from None
        if network.prefixlen == 0:
            raise ValueError(f"{name} is everybody: name the proxies' own addresses")
        networks.append(network)
    return tuple(networks)


def parse_base_path(text: str) -> str:
    """Return a path under which something is shown, without a slash at its end; "" for the root.

    Raises:
        ValueError: It is none, or has other than plain characters.
    """
    path = text.removesuffix("/")
    if path and (len(path) > LONGEST_BASE_PATH or not BASE_PATH.fullmatch(path)):
        raise ValueError(f"expected a path such as /mien, of at most {LONGEST_BASE_PATH} of A-Z a-z 0-9 . _ ~ - /")
    return path


def load(flags: dict[str, Any] | None = None, file: Path | None = None) -> Settings:
    """Return the effective settings.

    Args:
        flags: Nested values that win over everything else; None values are ignored.
        file: A TOML file; default: the one that MIEN_CONFIG names, or mien.toml in the working folder if it is there.

    Raises:
        ConfigError: A name is unknown or a value is out of range; the message names it and the nearest name.
    """
    values, origin = _read_file(file)
    _merge(values, _read_environment())
    _merge(values, flags or {})
    return checked(values, origin)


def checked(values: dict[str, Any], origin: str) -> Settings:
    """Return the settings with these values, and defaults for all others.

    Args:
        values: Nested as the settings are.
        origin: Where they are from, for the message.

    Raises:
        ConfigError: A name is unknown or a value is out of range; the message names it and the nearest name.
    """
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from error


def fields(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the pydantic field of every setting but the tables [[source]] and [[alert]]."""
    for name, field in model.model_fields.items():
        if model is Settings and name in TABLES:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def effective(settings: Settings) -> str:
    """Return the settings as TOML, each under its description, with secrets masked."""
    lines: list[str] = []
    table = ""
    for name, field in fields():
        *path, last = name.split(".")
        value: Any = settings
        for part in (*path, last):
            value = getattr(value, part)
        if ".".join(path) != table:
            table = ".".join(path)
            lines += ["", f"[{table}]"]
        lines += [f"# {field.description}", _line(last, value)]
    for name, model in TABLES.items():
        for item in getattr(settings, name):
            lines += ["", f"[[{name}]]", *(_line(key, getattr(item, key)) for key in model.model_fields)]
    return "\n".join(lines) + "\n"


def _line(name: str, value: Any) -> str:
    if value is None:
        return f"# {name} is not set"
    if isinstance(value, SecretStr):
        return f'# {name} = "********"'
    if isinstance(value, tuple):
        return f"{name} = {json.dumps(value)}"
    if isinstance(value, bool):
        return f"{name} = {str(value).lower()}"
    if isinstance(value, int | float):
        return f"{name} = {value}"
    return f"{name} = {json.dumps(without_password(str(value)), ensure_ascii=False)}"


def _read_file(file: Path | None) -> tuple[dict[str, Any], str]:
    named = file or (Path(os.environ["MIEN_CONFIG"]) if os.environ.get("MIEN_CONFIG") else None)
    path = named or Path("mien.toml")
    if named is None and not path.exists():
        return {}, "the settings"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read the settings file '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid TOML: {error}") from error
    return values, f"'{path}'"


def _read_environment() -> dict[str, Any]:
    known = {_variable(name): name for name, _ in fields()}
    values: dict[str, Any] = {}
    for variable, text in os.environ.items():
        if not variable.startswith("MIEN_") or variable in NOT_SETTINGS or text == "":
            continue
        if variable not in known:
            raise ConfigError(f"unknown environment variable {variable}{_nearest(variable, known)}")
        *path, last = known[variable].split(".")
        table = values
        for part in path:
            table = table.setdefault(part, {})
        table[last] = text
    return values


def _variable(name: str) -> str:
    return "MIEN_" + name.upper().replace(".", "__")


def _merge(values: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict):
            if not isinstance(values.setdefault(key, {}), dict):
                values[key] = {}
            _merge(values[key], value)
        elif value is not None:
            values[key] = value


def _explain(error: ValidationError, origin: str) -> str:
    problem = error.errors(include_url=False)[0]
    path = [str(part) for part in problem["loc"]]
    name = ".".join(path)
    variable = f" ({_variable(name)})"
    if path[0] in TABLES:
        which = f" of [[{path[0]}]] {int(path[1]) + 1}" if len(path) > 1 and path[1].isdecimal() else ""
        name, variable = ".".join([path[0], *path[2:3]]), which
    if problem["type"] == "extra_forbidden":
        table = TABLES.get(path[0])
        names = fields(table, f"{path[0]}.") if table else fields()
        known = [known for known, _ in names] + ([] if table else list(Settings.model_fields))
        return f"unknown setting '{name}' in {origin}{_nearest(name, known)}"
    if problem["type"] == "missing":
        return f"setting '{name}'{variable} is missing in {origin}"
    secret = name == "alert" or any(word in name for word in ("password", "url", "webhook"))
    came = "a value that is not shown" if secret else f"{problem['input']!r}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"setting '{name}'{variable}: {message[0].lower()}{message[1:]}, but it is {came}"


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else "; `mien config` lists them all"
