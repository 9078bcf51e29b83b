"""A server of SMTP by aiosmtpd, which verifies with dkimpy what it takes, and tells of it as lines of JSON.

Keys come as JSON, by the names of their records. A recipient that begins with `no` is refused, one with `later` put off once.
"""

import asyncio
import json
import ssl
import sys

import dkim
from aiosmtpd.smtp import SMTP

KEYS = json.loads(sys.argv[1])
CERTIFICATE, KEY = sys.argv[2], sys.argv[3]


def txt(name, timeout=5):
    """What DNS would say of a name."""
    return KEYS.get(name.decode().rstrip("."), "").encode() or None


class Handler:
    """Takes mail, and tells what came."""

    def __init__(self):
        self.seen = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("no"):
            return "550 5.1.1 No such user"
        if address.startswith("later") and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 Come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        content = envelope.content
        verifier = dkim.DKIM(content)
        fields = [name for name, _ in verifier.headers if name.lower() == b"dkim-signature"]
        signed = [verifier.verify(idx=at, dnsfunc=txt) for at in range(len(fields))]
        arc = dkim.arc_verify(content, dnsfunc=txt)[0] if b"ARC-Seal" in content else None
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "dkim": signed,
            "arc": None if arc is None else arc.decode(),
            "text": content.decode("utf-8", "replace"),
        }
        print(json.dumps(told), flush=True)
        return "250 2.0.0 Taken"


async def serve():
    """Listens on any port, and tells which."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    handler = Handler()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, hostname="fake", tls_context=context, enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(serve())
