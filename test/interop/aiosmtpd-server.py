"""
aiosmtpd as a server for the tests of our client: SMTP and LMTP, with logins, and with failures by recipient.

The first line on standard output names the listeners; each message that was taken follows as one line of JSON. SCRAM is GNU SASL's
(libgsasl), bound to the TLS session by tls-exporter (RFC 9266), which Python's ssl module cannot give: it is asked of OpenSSL.

Arguments: folder, user, password. The folder holds certificate.pem and key.pem.
"""
import asyncio
import base64
import ctypes
import json
import os
import ssl
import sys

import _ssl
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import MISSING, SMTP, AuthResult, auth_mechanism

FOLDER, USER, PASSWORD = sys.argv[1:4]

# gsasl.h
OK, NEEDS_MORE = 0, 1
AUTHID, GIVEN_PASSWORD, CB_TLS_EXPORTER = 1, 3, 25

gsasl = ctypes.CDLL("libgsasl.so.18")
gsasl.gsasl_property_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
gsasl.gsasl_property_get.argtypes = [ctypes.c_void_p, ctypes.c_int]
gsasl.gsasl_property_get.restype = ctypes.c_char_p
gsasl.gsasl_step64.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
gsasl.gsasl_server_start.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
gsasl.gsasl_finish.argtypes = [ctypes.c_void_p]
context = ctypes.c_void_p()
if gsasl.gsasl_init(ctypes.byref(context)) != OK:
    raise SystemExit("GNU SASL could not be started")

openssl = ctypes.CDLL(_ssl.__file__)
openssl.SSL_export_keying_material.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int,
]


def exporter(transport):
    """RFC 9266: 32 octets, with an empty context."""
    own = transport.get_extra_info("ssl_object")._sslobj
    # PySSLSocket: the head of any object, its Socket, then the SSL* of OpenSSL.
    handle = ctypes.c_void_p.from_address(id(own) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p))
    out = ctypes.create_string_buffer(32)
    label = b"EXPORTER-Channel-Binding"
    if openssl.SSL_export_keying_material(handle, out, 32, label, len(label), b"", 0, 1) != 1:
        raise RuntimeError("no keying material")
    return out.raw


async def scram(server, args, misbound):
    session = ctypes.c_void_p()
    if gsasl.gsasl_server_start(context, args[0].encode(), ctypes.byref(session)) != OK:
        raise RuntimeError(f"GNU SASL has no {args[0]}")
    try:
        binding = exporter(server.transport)
        if misbound:
            binding = bytes(octet ^ 1 for octet in binding)
        gsasl.gsasl_property_set(session, CB_TLS_EXPORTER, base64.b64encode(binding))
        gsasl.gsasl_property_set(session, GIVEN_PASSWORD, PASSWORD.encode())
        given = args[1].encode() if len(args) > 1 else b""
        while True:
            out = ctypes.c_void_p()
            code = gsasl.gsasl_step64(session, given, ctypes.byref(out))
            if code not in (OK, NEEDS_MORE):
                return AuthResult(success=False, handled=False)
            said = base64.b64decode(ctypes.string_at(out.value)) if out.value else b""
            if code == OK and not said:
                break
            answer = await server.challenge_auth(said)
            if answer is MISSING:
                return AuthResult(success=False)
            if code == OK:
                break
            given = base64.b64encode(answer)
        who = gsasl.gsasl_property_get(session, AUTHID)
        return AuthResult(success=who == USER.encode(), handled=False, auth_data=who.decode())
    finally:
        gsasl.gsasl_finish(session)


def authenticator(server, session, envelope, mechanism, data):
    fine = data.login == USER.encode() and data.password == PASSWORD.encode()
    return AuthResult(success=fine, handled=False, auth_data=USER if fine else None)


REFUSED = {"full": "552 5.2.2 Mailbox is full", "later": "451 4.3.0 Not now"}


class Handler:
    """What happens is in the recipient's local part."""

    def __init__(self, listener, misbound=False, plus=True):
        self.listener = listener
        for name in ["SCRAM-SHA-1", "SCRAM-SHA-256"]:
            for mechanism in [name, name + "-PLUS"] if plus else [name]:
                async def method(server, args):
                    return await scram(server, args, misbound)
                setattr(self, "auth_" + mechanism, auth_mechanism(mechanism)(method))

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.7.1 Nobody may not send"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split("@")[0]
        if local == "nobody":
            return "550 5.1.1 No such user"
        if local == "greylisted":
            return "450 4.7.1 Come back later"
        if local == "busy":
            await server.push("421 4.3.2 Going down")
            server.transport.close()
            return "250 never read"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.append(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        local = [address.split("@")[0] for address in envelope.rcpt_tos]
        if "lost" in local:
            server.transport.abort()
            return "250 never read"
        replies = [REFUSED.get(name, "250 2.0.0 Taken for " + address) for name, address in zip(local, envelope.rcpt_tos)]
        lmtp = isinstance(server, LMTP)
        if not lmtp:
            replies = [next((reply for reply in replies if reply[0] != "2"), replies[0])]
        if any(reply[0] == "2" for reply in replies):
            tell({
                "listener": self.listener,
                "login": session.auth_data if isinstance(session.auth_data, str) else None,
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "mailOptions": envelope.mail_options,
                "rcptOptions": envelope.rcpt_options,
                "content": base64.b64encode(envelope.original_content).decode(),
            })
        # RFC 2033 4.2: one reply for each recipient.
        return "\r\n".join(replies)


def tell(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def main():
    loop = asyncio.get_running_loop()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(os.path.join(FOLDER, "certificate.pem"), os.path.join(FOLDER, "key.pem"))
    common = {"hostname": "mx.aiosmtpd.test", "data_size_limit": 16 * 1024 * 1024, "loop": loop}
    login = {"authenticator": authenticator, "auth_required": True}
    ports = {}

    async def listen(name, kind, handler, secure=None, **options):
        server = await loop.create_server(lambda: kind(handler, **common, **options), "127.0.0.1", 0, ssl=secure)
        ports[name] = server.sockets[0].getsockname()[1]

    await listen("starttls", SMTP, Handler("starttls"), tls_context=tls, require_starttls=True, enable_SMTPUTF8=True, **login)
    # It knows of no TLS that it did not start itself.
    implicit = {"auth_require_tls": False, "enable_SMTPUTF8": True, **login}
    await listen("implicit", SMTP, Handler("implicit"), tls, **implicit)
    await listen("misbound", SMTP, Handler("misbound", misbound=True), tls, **implicit)
    await listen("stripped", SMTP, Handler("stripped", plus=False), tls, **implicit)
    await listen("plain", SMTP, Handler("plain"), auth_exclude_mechanism=["PLAIN", "LOGIN"])
    # Not `require_starttls`: it would refuse LHLO too, for it knows EHLO alone as what may come before STARTTLS.
    await listen("lmtpTls", LMTP, Handler("lmtpTls"), tls_context=tls, enable_SMTPUTF8=True, **login)
    lmtp = os.path.join(FOLDER, "lmtp")
    await loop.create_unix_server(lambda: LMTP(Handler("lmtp"), enable_SMTPUTF8=True, **common), lmtp)
    tell({"ports": ports, "lmtp": lmtp})
    # Ends with the test, also where that was killed.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
