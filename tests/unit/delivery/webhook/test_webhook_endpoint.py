"""Which URLs a subscription may have."""

import pytest

from calibr.core.errors import Invalid
from calibr.delivery.webhook import AddressPolicy, parse_endpoint

_STRICT = AddressPolicy()
_REHEARSAL = AddressPolicy(allow_loopback=True)

_HOSTILE = [
    # schemes
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript:alert(1)",
    "//hooks.example.com/",
    "hooks.example.com/path",
    "",
    # credentials and confusion about where the host is
    "https://user:word@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1#@hooks.example.com/",
    "https://hooks.example.com\\@127.0.0.1/",
    "https:\\\\127.0.0.1\\",
    "https:///127.0.0.1/",
    "https://hooks.example.com:443@127.0.0.1/",
    "https://[::1]@hooks.example.com/",
    "https://hooks.example.com/#fragment",
    "https://hooks.example.com/#",
    # white space, control characters, percent signs in the host
    " https://hooks.example.com/",
    "https://hooks.example.com/ ",
    "https://hooks.example.com/\n",
    "https://hooks.exa\tmple.com/",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/\r\nHost: 127.0.0.1",
    "https://hooks.example.com/%zz",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1%00.example.com/",
    # ports
    "https://hooks.example.com:22/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:5432/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:99999999/",
    "https://hooks.example.com:-1/",
    "https://hooks.example.com:/",
    "https://hooks.example.com:443:443/",
    # IPv4 in its many spellings
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.01/",
    "https://127.000.000.001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://127.0.0.1./",
    "https://8.8.8.8./",
    "https://256.256.256.256/",
    "https://1.2.3.4.5/",
    "https://hooks.example.0x1/",
    "https://10.0.0.5/",
    "https://172.16.3.4/",
    "https://192.168.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    # IPv6
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[127.0.0.1]/",
    "https://[::1/",
    "https://::1/",
    "https://[1:2]/",
    # names
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://db.localhost/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://hooks.example.com./",
    "https://hooks..example.com/",
    "https://.example.com/",
    "https://./",
    "https://-hooks.example.com/",
    "https://hooks_.example.com/",
    f"https://{'a' * 64}.example.com/",
    f"https://{'a.' * 130}com/",
    "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
    "https://\N{CIRCLED DIGIT ONE}\N{CIRCLED DIGIT TWO}\N{CIRCLED DIGIT SEVEN}.0.0.1/",
    "https://127\N{IDEOGRAPHIC FULL STOP}0\N{IDEOGRAPHIC FULL STOP}0\N{IDEOGRAPHIC FULL STOP}1/",
    "https://\N{FULLWIDTH LATIN SMALL LETTER L}ocalhost/",
    "https://hooks\N{ZERO WIDTH SPACE}.example.com/",
    f"https://hooks.example.com/{'a' * 2048}",
]


@pytest.mark.parametrize("url", _HOSTILE)
def test_a_hostile_url_is_refused_with_a_fault_on_its_field(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_endpoint(url, _STRICT)
    assert caught.value.code == "subscription.url"
    assert [fault.path for fault in caught.value.faults] == ["$.config.url"]


_LOOPBACK = {
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
}


@pytest.mark.parametrize("url", [url for url in _HOSTILE if url not in _LOOPBACK])
def test_a_rehearsal_allows_no_other_hostile_url(url: str) -> None:
    with pytest.raises(Invalid):
        parse_endpoint(url, _REHEARSAL)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://hooks.example.com", "https://hooks.example.com/"),
        ("HTTPS://Hooks.Example.COM:443/A?b=C", "https://hooks.example.com/A?b=C"),
        ("https://hooks.example.com:8443/x/", "https://hooks.example.com:8443/x/"),
        ("https://hooks.example.com?a=1&b=%20", "https://hooks.example.com/?a=1&b=%20"),
        ("https://hooks.example.com/@user/a:b;c=1/?q=//x?y", "https://hooks.example.com/@user/a:b;c=1/?q=//x?y"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://3com.example.com/", "https://3com.example.com/"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700:4700:0::1111]:8443/x", "https://[2606:4700:4700::1111]:8443/x"),
        (f"https://hooks.example.com/{'a' * 2022}", f"https://hooks.example.com/{'a' * 2022}"),
    ],
)
def test_a_public_https_url_is_read_into_its_normal_form(url: str, normal: str) -> None:
    endpoint = parse_endpoint(url, _STRICT)
    assert endpoint.url == normal
    assert not endpoint.is_loopback
    assert parse_endpoint(normal, _STRICT) == endpoint


@pytest.mark.parametrize("url", ["http://127.0.0.1:4711/x", "http://[::1]:9/", "https://127.0.0.1:4711/", *_LOOPBACK])
def test_loopback_addresses_need_the_permission_of_the_operator(url: str) -> None:
    assert parse_endpoint(url, _REHEARSAL).is_loopback
    with pytest.raises(Invalid):
        parse_endpoint(url, _STRICT)


@pytest.mark.parametrize("url", ["http://localhost:4711/", "http://192.168.0.1/", "http://hooks.example.com/"])
def test_the_permission_covers_loopback_addresses_only(url: str) -> None:
    with pytest.raises(Invalid):
        parse_endpoint(url, _REHEARSAL)


@pytest.mark.parametrize(
    "url", ["https://bob:hunter2@hooks.example.com/", "https://hooks.example.com:22/?token=hunter2", "ftp://x/hunter2"]
)
def test_a_refusal_repeats_no_secret_of_the_url(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_endpoint(url, _STRICT)
    assert "hunter2" not in f"{caught.value.message} {caught.value.faults}"
