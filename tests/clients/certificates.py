"""Certificates made for a test, with a library that shares no code with the server."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Pair:
    """A certificate and its key, both in PEM."""

    def __init__(self, certificate, key):
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        self.key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write(self, folder):
        """Writes tls.crt and tls.key, as a secret is mounted."""
        folder.mkdir()
        (folder / "tls.crt").write_bytes(self.certificate)
        descriptor = os.open(folder / "tls.key", os.O_WRONLY | os.O_CREAT, 0o600)
        with open(descriptor, "wb") as file:
            file.write(self.key)


class Ca:
    """One that signs others."""

    def __init__(self, name):
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self.name, self.key, NOW + DAY)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = builder.add_extension(constraints, critical=True).sign(self.key, hashes.SHA256())
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def server(self):
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return self._sign(names, ExtendedKeyUsageOID.SERVER_AUTH, NOW + DAY)

    def client(self, *uris, until=NOW + DAY):
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        return self._sign(names, ExtendedKeyUsageOID.CLIENT_AUTH, until)

    def _sign(self, names, usage, until):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
        builder = self._builder(subject, key, until)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Pair(builder.sign(self.key, hashes.SHA256()), key)

    def _builder(self, subject, key, until):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 30 * DAY)
            .not_valid_after(until)
        )
