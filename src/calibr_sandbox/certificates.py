"""A private authority and a certificate for the hosts that the sandbox stands for. The authority's key is not kept."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS: Final = ("*.myshopify.com", "shopify-staged-uploads.storage.googleapis.com", "localhost")
_ADDRESS: Final = IPv4Address("127.0.0.1")
_LIFE: Final = timedelta(days=365)
_REST: Final = timedelta(days=30)
"""A certificate that would end sooner is made anew."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: what clients must trust, and what the server shows and signs with."""

    ca_file: Path
    chain_file: Path
    key_file: Path


def ensure_certificates(folder: Path) -> Certificates:
    """Return the certificates in a folder, and make them if they are absent or about to end."""
    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not _are_good(files):
        folder.mkdir(parents=True, exist_ok=True)
        _make(files)
    return files


def stands_for(host: str) -> bool:
    """Whether the certificate is good for a host name or address."""
    name = host.lower()
    head, _, rest = name.partition(".")
    is_shop = bool(head) and rest == "myshopify.com"
    return is_shop or name in HOSTS[1:] or name == str(_ADDRESS)


def _are_good(files: Certificates) -> bool:
    try:
        shown = x509.load_pem_x509_certificate(files.chain_file.read_bytes())
        trusted = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
        shown.verify_directly_issued_by(trusted)
        key_is_there = files.key_file.is_file()
    except Exception:  # noqa: BLE001 - whatever is wrong with them, they are made anew
        return False
    return key_is_there and shown.not_valid_after_utc > datetime.now(UTC) + _REST


def _make(files: Certificates) -> None:
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name("calibr-sandbox private authority")
    authority = (
        _begin(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, SHA256())
    )
    names = [*(x509.DNSName(host) for host in HOSTS), x509.IPAddress(_ADDRESS)]
    shown = (
        _begin(_name("calibr-sandbox"), authority_name, server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, SHA256())
    )
    key = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(files.key_file, key, 0o600)
    _write(files.chain_file, shown.public_bytes(Encoding.PEM), 0o644)
    _write(files.ca_file, authority.public_bytes(Encoding.PEM), 0o644)


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole, with its rights from the start."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    fresh.replace(path)
