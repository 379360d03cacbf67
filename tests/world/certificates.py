"""A self-signed certificate that lets Terraform believe Azurite is Azure.

The azurerm backend speaks only HTTPS and only to `{account}.blob.core.windows.net`, and checks the name.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BLOB_HOSTS = "*.blob.core.windows.net"


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of one self-signed certificate, which is its own trust anchor, and of its private key."""

    certificate_file: Path
    key_file: Path


def make_certificate(folder: Path) -> Certificate:
    """Write `cert.pem` and `key.pem` for `*.blob.core.windows.net`, `localhost` and `127.0.0.1`.

    `folder` exists already. The certificate carries what OpenSSL asks of a trust anchor in strict checking,
    which is Python 3.13's default: the two key identifiers and a key usage that may sign.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Azurite in tests")])
    # A clock that steps back a little must not make the certificate 'not valid yet'.
    start = datetime.now(UTC) - timedelta(hours=1)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    alternatives = x509.SubjectAlternativeName(
        [
            x509.DNSName(BLOB_HOSTS),
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(certificate_file=folder / "cert.pem", key_file=folder / "key.pem")
    made.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key_file.touch(mode=0o600)
    made.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made
