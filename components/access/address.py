"""Network addresses: where the server listens and under which path (Streamlit's own options), and what others' mean."""

import ipaddress
from urllib.parse import urlsplit

from streamlit import config, net_util


def listens_on_loopback() -> bool:
    """Whether only this machine can connect. An address that is not set means every interface."""
    return is_loopback(config.get_option("server.address") or "")


def is_loopback(host: str) -> bool:
    """Whether a name or IP address, without a port, means this machine."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(host_header: str) -> str:
    """The name in a ``Host`` header, without port and brackets; empty if there is none to be found."""
    try:
        return urlsplit(f"//{host_header}").hostname or ""
    except ValueError:
        return ""


def network_of(address: str) -> str:
    """The network that one person may hold: the address itself, or the /64 of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return str(ip)


def base_path() -> str:
    """The path below which the page is: empty, or such as ``/chat``."""
    path = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def below_base(path: str) -> str:
    """A request's path as it would be without the base path."""
    base = base_path()
    if base and (path == base or path.startswith(f"{base}/")):
        return path[len(base) :] or "/"
    return path


def page_url() -> str:
    """The page's address as well as it can be known here: a proxy in front has another one."""
    host = config.get_option("server.address") or "0.0.0.0"
    port = config.get_option("server.port")
    if config.is_manually_set("browser.serverAddress"):
        host, port = config.get_option("browser.serverAddress"), config.get_option("browser.serverPort")
    elif host in ("0.0.0.0", "::"):
        host = net_util.get_internal_ip() or "127.0.0.1"
    scheme = "https" if config.get_option("server.sslCertFile") or port == 443 else "http"
    name = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}[scheme]
    return f"{scheme}://{name if port == usual else f'{name}:{port}'}{base_path()}/"
