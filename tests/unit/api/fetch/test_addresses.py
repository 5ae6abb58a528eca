import re
from ipaddress import ip_address

import pytest

from api.fetch.addresses import destination, is_public
from jobs.hosts.allow_list import AllowList

NOT_PUBLIC = [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::8.8.8.8",
    "::ffff:0:8.8.8.8",  # IPv4-translated
    "64:ff9b:1::1",  # NAT64 of one's own network
    "100::1",  # discard
    "2001::1",  # Teredo
    "2001:0:53aa:64c:0:0:80ff:fffe",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_on_the_internet_is_not_public(address: str):
    assert not is_public(destination(ip_address(address)))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_on_the_internet_is_public(address: str):
    assert is_public(destination(ip_address(address)))


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
def test_an_ipv4_address_inside_of_an_ipv6_one_is_what_counts(prefix: str):
    assert not is_public(destination(ip_address(f"{prefix}10.0.0.1")))
    assert is_public(destination(ip_address(f"{prefix}8.8.8.8")))


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("10.0.0.0/8", "anything.test", 80, "10.1.2.3"),
        ("10.0.0.5", "anything.test", 80, "10.0.0.5"),
        ("10.0.0.5:8080", "10.0.0.5", 8080, "10.0.0.5"),
        ("fd00::/8", "anything.test", 443, "fd00::5"),
        ("fd00::5", "fd00:0:0::5", 443, "fd00::5"),
        ("[fd00::5]", "fd00::5", 443, "fd00::5"),
        ("[FD00::5]:8080", "fd00::5", 8080, "fd00::5"),
        ("media.local", "media.local", 1234, "10.0.0.1"),
        ("Media.local", "MEDIA.LOCAL.", 80, "10.0.0.1"),
        ("media.local:8080", "media.local", 8080, "10.0.0.1"),
    ],
)
def test_the_allow_list_allows_what_it_names(entry: str, host: str, port: int, address: str):
    assert AllowList(["other.test", entry]).allows(host, port, ip_address(address))


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("10.0.0.0/8", "anything.test", 80, "11.0.0.0"),
        ("10.0.0.0/8", "anything.test", 80, "2002:a00:1::"),
        ("10.0.0.5", "anything.test", 80, "10.0.0.6"),
        ("10.0.0.5:8080", "10.0.0.5", 80, "10.0.0.5"),
        ("10.0.0.5", "10.0.0.5", 80, "10.0.0.6"),
        ("media.local", "evil-media.local", 80, "10.0.0.1"),
        ("media.local", "x.media.local", 80, "10.0.0.1"),
        ("media.local", "media.local.test", 80, "10.0.0.1"),
        ("media.local:8080", "media.local", 80, "10.0.0.1"),
    ],
)
def test_the_allow_list_allows_nothing_else(entry: str, host: str, port: int, address: str):
    assert not AllowList([entry]).allows(host, port, ip_address(address))


@pytest.mark.parametrize(
    "entry",
    [
        ":80",
        "*.local",
        "http://media.local",
        "media.local/8",
        "10.0.0.1/8",
        "media.local:",
        "media.local:0",
        "media.local:65536",
        "media local",
        "a:b:c",
        "[media.local]",
        "user@media.local",
        "bücher.local",
    ],
)
def test_an_entry_that_is_no_host_is_refused_by_name(entry: str):
    with pytest.raises(ValueError, match=re.escape(entry)):
        AllowList([entry])
