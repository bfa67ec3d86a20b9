"""Every key of the configuration, with its default, its meaning and its limits, and values that follow from several
keys. config_loader.py reads them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from stormpetrel.config_sms import RouteConfig
from stormpetrel.config_sms import key as _key
from stormpetrel.errors import SetupError

SHIELD_MODES = ("full", "off", "per-address", "bounded", "overcompensate")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MAIL_TRANSPORTS = ("file", "console", "smtp")
MAIL_SECURITIES = ("none", "starttls", "tls")
CONFIRMATIONS = ("auto", "required", "off")
REGISTRATIONS = ("open", "approval", "closed")


@dataclass(frozen=True, slots=True)
class WebConfig:
    host: str = _key("127.0.0.1", "address the web server listens on")
    port: int = _key(8000, "port the web server listens on", low=0, high=65535)
    workers: int = _key(2, "web worker processes", low=1, high=64)


@dataclass(frozen=True, slots=True)
class StatusConfig:
    host: str = _key("127.0.0.1", "address the status page listens on")
    port: int = _key(8001, "port of the status page (role watch)", low=0, high=65535)
    public_url: str = _key(
        "", "public URL of the status page, through a proxy; refused requests get a link to it"
    )
    export: str = _key(
        "",
        "folder, or s3://BUCKET/PREFIX with the keys s3_… of [media], to which the status page is written each "
        "minute as static files; empty: none",
    )
    max_subscriptions: int = _key(
        50_000,
        "maximum number of subscriptions to the status page, by mail and webhook together; 0: none",
        low=0,
        high=1_000_000,
    )
    webhooks_per_host: int = _key(20, "maximum number of webhooks on one host", low=1, high=100_000)
    private_webhooks: bool = _key(
        False,  # noqa: FBT003 - a key's default
        "webhooks may use http:// and addresses of private networks; for tests and closed networks",
    )


@dataclass(frozen=True, slots=True)
class SmsConfig:
    host: str = _key("127.0.0.1", "address the sms role listens on")
    port: int = _key(8002, "port of the sms role", low=0, high=65535)
    in_per_minute: int = _key(
        20, "messages accepted from a number per minute; more are dropped", low=1, high=100_000
    )
    in_per_hour: int = _key(200, "messages accepted from a number per hour", low=1, high=1_000_000)
    in_per_prefix_minute: int = _key(
        600,
        "messages accepted per minute from numbers without an account with one prefix of `prices`, or of one "
        "country, on a route with trust aggregator; more are dropped",
        low=1,
        high=1_000_000,
    )
    out_per_hour: int = _key(6, "deliveries to a phone per hour; more wait for a digest", low=0, high=100_000)
    out_per_day: int = _key(20, "deliveries to a phone per day", low=0, high=100_000)
    stranger_answer_s: int = _key(
        86_400, "a number without an account gets one answer in this time", low=0, high=2_592_000
    )
    saved_notice_s: int = _key(
        600,
        "while the database is down, a phone gets one notice in this time that its message is saved",
        low=1,
        high=86_400,
    )
    part_timeout_s: int = _key(600, "how long the parts of a long message may take", low=1, high=86_400)
    delete_window_s: int = _key(600, "how long DEL can delete the last post", low=1, high=86_400)
    expires_s: int = _key(
        21_600, "a post that is older is not texted any more; it joins a digest", low=1, high=604_800
    )
    cap_day: Decimal = _key(Decimal(0), "most money to spend per day; 0: no limit")
    cap_month: Decimal = _key(Decimal(0), "most money to spend per month; 0: no limit")
    cap_user_day: Decimal = _key(Decimal(0), "most money to spend per phone and day; 0: no limit")
    currency: str = _key("USD", "currency of prices and limits, ISO 4217")
    lane1_reserve: float = _key(
        0.1, "part of each limit that only security answers and STOP may use", low=0.0, high=1.0
    )
    stranger_share: float = _key(
        0.25, "part of each limit that numbers without an account may use together", low=0.0, high=1.0
    )
    prefix_share: float = _key(
        0.5,
        "part of the strangers' limits that numbers with one prefix of `prices`, or of one country, may use",
        low=0.0,
        high=1.0,
    )
    code_per_prefix_day: int = _key(
        100, "codes sent per country or network prefix and day", low=0, high=1_000_000
    )
    join_per_prefix_day: int = _key(
        1000,
        "numbers of one country that may begin to follow or sign up per day on routes with trust aggregator",
        low=0,
        high=1_000_000,
    )
    routes: tuple[RouteConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class CourierConfig:
    host: str = _key("127.0.0.1", "address the courier's health port listens on")
    port: int = _key(8003, "the courier's health port", low=0, high=65535)


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    url: str = _key(
        "", "sqlite:///PATH or postgresql://…; empty: stormpetrel.db in the data directory", secret="url"
    )


@dataclass(frozen=True, slots=True)
class ValkeyConfig:
    url: str = _key(
        "", "redis:// URL of Valkey or Redis, if several machines run this instance", secret="url"
    )


@dataclass(frozen=True, slots=True)
class ShieldConfig:
    mode: str = _key("full", "how the shield admits requests", choices=SHIELD_MODES)
    requests_per_5min: int = _key(
        15_000,
        "requests per token, session or address in five minutes; 0: no limit",
        low=0,
        high=1_000_000_000,
    )
    running: int = _key(
        4,
        "concurrent requests per worker; up to 32 of known clients while the event loop is late",
        low=1,
        high=256,
    )
    waiting: int = _key(512, "queued requests per worker, besides members' writes", low=1, high=100_000)
    waiting_per_identity: int = _key(64, "queued requests per identity and worker", low=1, high=100_000)
    visitor_cookies: str = _key(
        "on",
        "give visitors of public pages a cookie that records when they first came",
        choices=("on", "off"),
    )


@dataclass(frozen=True, slots=True)
class AudienceConfig:
    enabled: bool = _key(True, "count unique visitors per day, week and month")  # noqa: FBT003 - a key's default
    public: bool = _key(False, "show the number of visitors to everyone, at /audience")  # noqa: FBT003


@dataclass(frozen=True, slots=True)
class InsightConfig:
    countries: str = _key("", "a CSV file of network,country; internal reports count noted addresses by it")


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    header_timeout_s: float = _key(
        5.0, "how long a client may take to send a request's headers", low=0.1, high=600
    )
    body_timeout_s: float = _key(
        30.0, "how long a client may take to send a request's body", low=0.1, high=3600
    )
    body_stall_s: float = _key(5.0, "a request whose body stalls for this long is aborted", low=0.1, high=600)
    keepalive_timeout_s: float = _key(
        30.0, "an idle connection is closed after this long", low=0.1, high=3600
    )
    write_timeout_s: float = _key(
        10.0, "a client that reads nothing for this long is disconnected", low=0.1, high=3600
    )
    max_header_bytes: int = _key(16_384, "maximum size of request line and headers", low=512, high=1_048_576)
    max_body_bytes: int = _key(
        65_536, "maximum size of a request body, except uploads and long texts", low=1024, high=1_073_741_824
    )
    max_connections: int = _key(
        0, "maximum open connections per worker; 0: 90 % of the open-file limit", low=0, high=10_000_000
    )
    max_connections_per_address: int = _key(
        4096,
        "maximum open connections per address and worker; behind a proxy: requests and streams per client",
        low=1,
        high=10_000_000,
    )
    trusted_proxies: str = _key(
        "",
        "proxies trusted to report the client's address: addresses and networks, separated by commas",
    )
    proxy_protocol: bool = _key(
        False,  # noqa: FBT003 - a key's default
        "the trusted proxies send a PROXY protocol header, version 1 or 2, on each connection",
    )
    cache_bytes: int = _key(67_108_864, "memory for cached pages per worker", low=0, high=68_719_476_736)
    cache_ttl_s: float = _key(
        1.0, "how long a cached response stays fresh for visitors who are not signed in", low=0.0, high=60
    )
    cache_grace_s: float = _key(
        300.0, "how long a stale response may be served while a new one is rendered", low=0, high=3600
    )

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """Return `trusted_proxies`, parsed. Raise SetupError with the invalid part."""
        return tuple(_network(part.strip()) for part in self.trusted_proxies.split(",") if part.strip())

    def trusts(self, host: str) -> bool:
        """Return True if `host` is a trusted proxy's address. Of names only "localhost" can be."""
        try:
            address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        except ValueError:
            return False
        return any(address in network for network in self.proxy_networks)


@dataclass(frozen=True, slots=True)
class StreamingConfig:
    max_per_token: int = _key(30, "maximum open streams per access token and worker", low=1, high=1_000_000)
    max_per_account: int = _key(60, "maximum open streams per account and worker", low=1, high=1_000_000)
    max_per_address: int = _key(
        1000, "maximum open streams per address and worker, without an account", low=1, high=1_000_000
    )
    max_subscriptions: int = _key(60, "maximum subscriptions per WebSocket", low=1, high=10_000)


@dataclass(frozen=True, slots=True)
class PostsConfig:
    max_characters: int = _key(
        500, "maximum length of a post in characters; a link counts as 23", low=1, high=100_000
    )


@dataclass(frozen=True, slots=True)
class MailConfig:
    transport: str = _key(
        "file",
        "where mails go: to files in the data directory, to the log, or to a mail server",
        choices=MAIL_TRANSPORTS,
    )
    sender: str = _key("", "sender address of mails; empty: stormpetrel@ the public host")
    confirm: str = _key(
        "auto", "whether new e-mail addresses must be confirmed; auto: only with smtp", choices=CONFIRMATIONS
    )
    host: str = _key("127.0.0.1", "host of the mail server")
    port: int = _key(587, "port of the mail server", low=1, high=65535)
    security: str = _key(
        "starttls",
        "encryption of the connection to the mail server; certificates are checked",
        choices=MAIL_SECURITIES,
    )
    ca_file: str = _key(
        "", "CA certificates (PEM) to trust instead of the system's, for your own mail server"
    )
    username: str = _key("", "username for the mail server; empty: no sign-in")
    password: str = _key("", "password for the mail server", secret="all")
    timeout_s: float = _key(10.0, "timeout for each response of the mail server", low=0.1, high=120)


@dataclass(frozen=True, slots=True)
class MediaConfig:
    store: str = _key("folder", "where media files are stored", choices=("folder", "s3"))
    folder: str = _key("", "folder of the media files; empty: media in the data directory")
    max_image_bytes: int = _key(16_777_216, "maximum size of an image", low=1024, high=1_073_741_824)
    max_video_bytes: int = _key(
        103_809_024, "maximum size of a video or audio file", low=1024, high=4_294_967_296
    )
    max_image_pixels: int = _key(
        33_177_600, "maximum size of an image in pixels (width times height)", low=1024, high=100_000_000
    )
    uploads_per_account: int = _key(4, "concurrent uploads per account and worker", low=1, high=1000)
    wait_s: float = _key(
        4.0,
        "how long an upload waits to be processed; after that the courier continues in the background",
        low=0.0,
        high=60,
    )
    s3_endpoint: str = _key("", "https:// URL of the S3 service")
    s3_bucket: str = _key("", "name of the bucket")
    s3_region: str = _key("us-east-1", "region of the bucket")
    s3_key: str = _key("", "access key id")
    s3_secret: str = _key("", "secret access key", secret="all")
    s3_timeout_s: float = _key(10.0, "timeout for each response of the S3 service", low=0.1, high=60)
    s3_public_url: str = _key("", "public URL of the bucket's files; empty: ENDPOINT/BUCKET")


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    notifications_days: int = _key(365, "how long notifications are stored; 0: forever", low=0, high=36_500)
    suspended_days: int = _key(
        30, "a suspended account is deleted after this many days; 0: never", low=0, high=36_500
    )
    applications_days: int = _key(
        7, "an app that was never authorized is deleted after this many days; 0: never", low=0, high=36_500
    )
    app_tokens_days: int = _key(
        90, "how long an app's own token, without an account, is valid; 0: forever", low=0, high=36_500
    )
    dead_jobs_days: int = _key(
        30, "how long failed jobs are stored after the last retry; 0: forever", low=0, high=36_500
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    level: str = _key("info", "lowest level to log", choices=("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class Config:
    data_dir: Path = _key(Path("data"), "directory for everything this instance stores on disk")
    public_url: str = _key(
        "", "public URL of the instance, used in every link it publishes; empty: http://HOST:PORT of [web]"
    )
    registration: str = _key("open", "who may sign up", choices=REGISTRATIONS)
    title: str = _key("Stormpetrel", "name of the instance")
    description: str = _key("A small server that stays up.", "one sentence about the instance")
    contact_email: str = _key("", "e-mail address of the people who run the instance")
    languages: str = _key("en", "languages of the instance, ISO 639-1, separated by commas")
    secret_key: str = _key(
        "", "key that signs cookies; empty: the file secret.key in the data directory", secret="all"
    )
    web: WebConfig = field(default_factory=WebConfig)
    status: StatusConfig = field(default_factory=StatusConfig)
    sms: SmsConfig = field(default_factory=SmsConfig)
    courier: CourierConfig = field(default_factory=CourierConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    valkey: ValkeyConfig = field(default_factory=ValkeyConfig)
    shield: ShieldConfig = field(default_factory=ShieldConfig)
    audience: AudienceConfig = field(default_factory=AudienceConfig)
    insight: InsightConfig = field(default_factory=InsightConfig)
    edge: EdgeConfig = field(default_factory=EdgeConfig)
    streaming: StreamingConfig = field(default_factory=StreamingConfig)
    posts: PostsConfig = field(default_factory=PostsConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    log: LogConfig = field(default_factory=LogConfig)
    mail: MailConfig = field(default_factory=MailConfig)

    @property
    def database_url(self) -> str:
        """Return the database's URL; by default an SQLite file in the data directory."""
        return self.database.url or f"sqlite:///{self.data_dir / 'stormpetrel.db'}"

    @property
    def media_folder(self) -> Path:
        """Return the directory of the folder store."""
        return Path(self.media.folder) if self.media.folder else self.data_dir / "media"

    @property
    def media_origin(self) -> str:
        """Return scheme and host of media files, if pages may load them from another origin; otherwise ""."""
        if self.media.store != "s3":
            return ""
        url = urlsplit(self.media.s3_public_url or self.media.s3_endpoint)
        return f"{url.scheme}://{url.netloc}"

    @property
    def base_url(self) -> str:
        """Return the public URL, in lower case, without a trailing slash or the scheme's default port."""
        if self.public_url:
            url = self.public_url.strip().lower().rstrip("/")
            return url.removesuffix(":443" if url.startswith("https:") else ":80")
        host = "127.0.0.1" if self.web.host in ("0.0.0.0", "::", "") else self.web.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.web.port}".lower()

    @property
    def status_url(self) -> str:
        """Return the URL of the status page: `status.public_url`, or its port if the instance has no https.

        Return "" if there is none: the port itself has no https.
        """
        url = urlsplit(self.base_url)
        if self.status.public_url or url.scheme == "https":
            return self.status.public_url
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"http://{host}:{self.status.port}"

    @property
    def mail_sender(self) -> str:
        """Return the address that mails come from."""
        return self.mail.sender or f"stormpetrel@{urlsplit(self.base_url).hostname}"

    @property
    def sends_mails(self) -> bool:
        """Return True if mails go to a mail server; otherwise they stay here, in files or in the log."""
        return self.mail.transport == "smtp"

    @property
    def confirms_addresses(self) -> bool:
        """Return True if a new account must first follow a link in a mail."""
        return self.mail.confirm == "required" or (self.mail.confirm == "auto" and self.sends_mails)

    @property
    def domain(self) -> str:
        """Return the public host, with a port unless it is the scheme's: the part after the second @."""
        return urlsplit(self.base_url).netloc


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach that host, a name or an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, whatever it begins with: 127.example.org can be anywhere


def _network(text: str) -> Network:
    """Parse one part of `edge.trusted_proxies`. Raise SetupError."""
    key = "edge.trusted_proxies"
    try:
        address, _, length = text.partition("/")
        host = ipaddress.ip_address(address)
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SetupError(f"{key}: {text!r} is neither an address nor a network like 10.0.0.0/24") from None
    if network.network_address != host:
        raise SetupError(f"{key}: {text!r} is not a network; did you mean {network}?")
    if length and not network.prefixlen:
        raise SetupError(f"{key}: {text!r} covers every address: any client could then fake its address")
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise SetupError(f"{key}: write {text!r} as an IPv4 address or network")
    return network
