/**
 * Every key of the configuration: its kind, its default and what it is for. docs/config.md is made from it
 * (scripts/config-reference.ts).
 *
 * Rules
 * 1. A default is written as one would write it in the file.
 * 2. Names stay once they were released.
 */
import { z } from "zod";
import { signatureAlgorithms } from "../accounts/index.ts";
import {
  accountPattern,
  address,
  agreement,
  choice,
  dnsServer,
  domain,
  domainPattern,
  duration,
  flag,
  list,
  listenEndpoints,
  mailbox,
  network,
  postgresUrl,
  rate,
  recipientPattern,
  routeTarget,
  senderPattern,
  size,
  text,
  timeout,
  webAddress,
  whole,
} from "./kinds.ts";

const listens = list(listenEndpoints, 'a list of "address:port"');
const bareLineEnds = choice("refuse", "convert", "keep");

/** Keys that stand before the first table. */
export const general = z
  .strictObject({
    hostname: domain
      .optional()
      .describe(
        "This server's name: in greetings, in EHLO and in Received lines. Absent: the machine's own, if that is a full domain name.",
      ),
    data: text.prefault("./data").describe("Folder of the queue, the accounts and the self-signed certificate. Relative to this file."),
  })
  .describe("Before the first table.");

/** What is done about what was found: for all, with defaults, or for one domain, without. */
function checkSettings<M extends "prefault" | "optional">(mode: M) {
  const maybe = <S extends z.ZodType>(schema: S, value: z.input<S>) =>
    (mode === "prefault" ? schema.prefault(value as never) : schema.optional()) as M extends "prefault"
      ? z.ZodPrefault<S>
      : z.ZodOptional<S>;
  return {
    mode: maybe(choice("enforce", "report-only"), "enforce" as never).describe(
      "`report-only`: everything is checked, written down and reported, and nothing is refused or marked.",
    ),
    on_reject: maybe(choice("accept", "quarantine", "agreed", "reject"), "agreed" as never).describe(
      "Where DMARC fails and the domain asks for `reject`. `agreed` rejects where `agreement` is met and marks elsewhere (RFC 9989 7.4).",
    ),
    agreement: maybe(list(agreement, "a list of agreements"), ["spf-fail no-forwarder", "listed"] as never).describe(
      "Other knowledge that agrees with rejecting: any of these, each one or several of `spf-fail`, `no-forwarder`, `no-reverse-name`, `listed` that must all be true.",
    ),
    on_quarantine: maybe(choice("accept", "quarantine"), "quarantine" as never).describe(
      "Where DMARC fails and the domain asks for `quarantine`. Marked mail has the field `X-Postrider-Quarantine`.",
    ),
    on_spf_fail: maybe(choice("accept", "quarantine", "reject"), "accept" as never).describe("Where SPF fails and DMARC says nothing."),
    on_malformed_from: maybe(choice("accept", "quarantine", "reject"), "quarantine" as never).describe(
      "Where From is missing, cannot be read, or names too many domains.",
    ),
    on_dns_failure: maybe(choice("defer", "accept"), "defer" as never).describe(
      "Where DNS did not answer, the answer could change the verdict, and nothing aligned has passed.",
    ),
    trusted_sealers: maybe(list(domain, "a list of domain names"), [] as never).describe(
      "Forwarders whose ARC seals are believed: their word that DMARC passed counts.",
    ),
  };
}

export const tables = {
  listen: z
    .strictObject({
      submission: listens.optional().describe("Mail programs, STARTTLS required (port 587)."),
      submissions: listens.optional().describe("Mail programs, TLS from the first byte (port 465)."),
      smtp: listens.optional().describe("Other servers (port 25)."),
    })
    .describe(
      'Where connections are taken. No table: ports 587, 465 and 25 on all interfaces, IPv4 and IPv6. A key left out of the table: off. `"*:587"` is all interfaces of both families.',
    ),
  tls: z
    .strictObject({
      certificate: text.optional().describe("PEM file with the certificate and its chain. Relative to this file."),
      key: text.optional().describe("PEM file with its private key, without a passphrase. Relative to this file."),
    })
    .describe("No table: a self-signed certificate is made in the data folder; peers cannot verify it."),
  "accounts.oauth": z
    .strictObject({
      issuer: text.optional().describe('Who issues the tokens, as their claim "iss" has it, such as `"https://login.example.test"`.'),
      audience: list(text, "a list of texts")
        .prefault([])
        .describe('Of which one must be in the claim "aud". Empty: any; then a token that was meant for another program is taken too.'),
      account_claim: text.prefault("email").describe("The claim that is the account's name."),
      keys: text
        .optional()
        .describe("The issuer's public keys (JWKS, RFC 7517) for signed tokens: an `https` URL, or a file, relative to this one."),
      algorithms: list(choice(...signatureAlgorithms), "a list of signature algorithms")
        .prefault([...signatureAlgorithms])
        .describe("Signatures that are taken."),
      introspection: webAddress.optional().describe("Instead of `keys`: where the issuer is asked about each token (RFC 7662)."),
      client_id: text.optional().describe("As whom it is asked."),
      client_secret_file: text.optional().describe("File whose first line is the secret for that. Relative to this file."),
    })
    .describe("Logins by a bearer token: OAUTHBEARER and XOAUTH2. No table: none."),
  "accounts.certificates": z
    .strictObject({
      authorities: text
        .optional()
        .describe("PEM file with the certificates of those who may issue certificates to log in with. Relative to this file."),
      account: choice("email", "common-name")
        .prefault("email")
        .describe(
          "What in a client's certificate is the account's name: an address (rfc822Name) of its alternative names, or its common name.",
        ),
    })
    .describe("Logins by a client's certificate: EXTERNAL, on the submission ports. No table: clients are not asked for one."),
  domains: z
    .strictObject({
      local: list(domain, "a list of domain names").prefault([]).describe("Domains taken in on port 25 from anyone. Each needs a route."),
      recipients: list(recipientPattern, "a list of addresses")
        .prefault([])
        .describe('Addresses that exist beside the accounts\' own; `"*@example.test"` takes any. Others are refused with 550 5.1.1.'),
      srs: domain
        .optional()
        .describe(
          "The domain of the reverse-path that forwarded mail gets (SRS); its MX must lead here, and its SPF record name this server. Absent: the first local domain.",
        ),
      postmaster: mailbox.optional().describe("Who gets mail for postmaster, which must not be refused (RFC 5321 4.5.1)."),
    })
    .describe("The domains that this server is responsible for."),
  dns: z
    .strictObject({
      servers: list(dnsServer, "a list of DNS servers").optional().describe("Asked in this order. Absent: the system's."),
      timeout: timeout.prefault("2s").describe("For one server; each is asked twice."),
    })
    .describe("How names are looked up."),
  delivery: z
    .strictObject({
      port: whole(1, 65535).prefault(25).describe("Port of the recipients' servers that MX records lead to."),
      hostname: domain.optional().describe("The name in EHLO to other servers. Absent: `hostname`."),
      source_addresses: list(address, "a list of IP addresses")
        .prefault([])
        .describe(
          "Addresses of this machine to connect from; each destination keeps to one of each family. A family that is not named: the system chooses.",
        ),
      families: choice("both", "ipv4", "ipv6").prefault("both").describe("Address families to reach other servers by."),
      concurrency: whole(1, 100_000).prefault(500).describe("Connections to other servers at once."),
      connections_per_destination: whole(1, 10_000).prefault(20).describe("Connections to one destination at once."),
      messages_per_connection: whole(1, 1_000_000).prefault(1000).describe("Messages sent through one connection before it is closed."),
      recipients_per_message: whole(1, 10_000)
        .prefault(100)
        .describe("Recipients of one transaction; a message with more is sent in several (RFC 5321 4.5.3.1.8: every server takes 100)."),
      back_off: timeout
        .prefault("5s")
        .describe(
          "How long a destination is left alone that cannot be reached, or says 421. Twice as long each time, up to `longest_back_off`.",
        ),
      longest_back_off: timeout.prefault("15m").describe("At most so long."),
      connect_timeout: timeout.prefault("30s").describe("For reaching one address of a server."),
      keep_connection: duration.prefault("5s").describe("How long a connection waits for the next message."),
      retry: list(timeout, "a list of durations")
        .prefault(["5m", "10m", "20m", "40m", "1h", "2h", "4h"])
        .describe("Waits between attempts; the last one repeats until `max_age`."),
      max_age: timeout.prefault("5d").describe("Messages that could not be delivered for so long are returned to their sender."),
      report_max_age: timeout.prefault("1d").describe("Likewise for reports, which go to the postmaster then."),
      delay_notice: duration
        .prefault("4h")
        .describe("After so long the sender is told, once, that a message is delayed, unless its NOTIFY says otherwise. `0s`: never."),
    })
    .describe("How mail goes out."),
  submission: z
    .strictObject({
      hide_client: flag.prefault(false).describe("Leaves the submitter's address out of the Received line."),
      from: choice("owned", "rewrite", "allow")
        .prefault("owned")
        .describe(
          "A From that is not the account's own address: refuse the message, put the sender's own address in its place (answers still go to the one that was there), or let it pass.",
        ),
      max_hold: duration
        .prefault("30d")
        .describe("How long an account may have a message held until it goes out (FUTURERELEASE). `0s`: it is not offered."),
      max_priority: whole(0, 9)
        .prefault(4)
        .describe("The highest priority (MT-PRIORITY) that an account gets; a higher one is lowered. 0 is what everybody has."),
      bare_line_ends: bareLineEnds
        .prefault("convert")
        .describe("A CR or LF alone in content: refuse the message, turn it into CRLF, or keep it (only BDAT can send such content on)."),
    })
    .describe("What mail programs may do."),
  suppression: z
    .strictObject({
      accounts: list(accountPattern, "a list of accounts")
        .prefault([])
        .describe(
          'Accounts that are kept from sending again to an address whose server refused it as unknown (5.1.1, 5.1.10); `"*"` is all.',
        ),
      for: timeout.prefault("30d").describe("How long an address stays on the list."),
      answer: choice("refuse", "drop")
        .prefault("refuse")
        .describe("`refuse` answers RCPT with 550 5.1.1; `drop` takes it, sends nothing, and reports the failure as NOTIFY says."),
    })
    .describe("Addresses that do not exist, remembered for each account that wishes it: [docs/suppression.md](suppression.md)."),
  smtp: z
    .strictObject({
      bare_line_ends: bareLineEnds.prefault("refuse").describe("As in `submission`, on port 25."),
      greeting_delay: duration.prefault("0s").describe("Wait before the greeting; who speaks before it is refused."),
    })
    .describe("What other servers may do."),
  authentication: z
    .strictObject({
      check: flag
        .prefault(true)
        .describe(
          "Checks SPF, DKIM, ARC, DMARC and the name of the peer's address on port 25; [docs/authentication.md](authentication.md).",
        ),
      ...checkSettings("prefault"),
      exempt: list(network, "a list of addresses and networks")
        .prefault(["127.0.0.0/8", "::1"])
        .describe("Peers that are not checked, such as a server of your own in front of this one. This machine itself is one of them."),
      block_lists: list(domain, "a list of domain names")
        .prefault([])
        .describe(
          'Block lists in DNS that are asked about the peer, such as `"zen.example.test"`. They speak where `agreement` names `listed`.',
        ),
      timeout: timeout.prefault("20s").describe("For each check, once all of a message is here; what takes longer is answered 451."),
      seal_domain: domain.optional().describe("Seals what is handed on (ARC, RFC 8617) in the name of this domain."),
      seal_selector: domain.optional().describe("The selector of the key for that."),
      seal_key: text.optional().describe("PEM file with that key. Relative to this file."),
    })
    .describe("Who really sent what comes in on port 25, and what is done about it."),
  reports: z
    .strictObject({
      aggregate: flag
        .prefault(false)
        .describe("Sends DMARC aggregate reports (RFC 9990) once a day to the domains that ask for them, about what came in their name."),
      failures: flag
        .prefault(false)
        .describe("Sends DMARC failure reports (RFC 9991) about single messages. They show the headers of others' mail."),
      from: mailbox.optional().describe("Whom reports are from. Absent: postmaster at the first local domain, else at `hostname`."),
      organization: text.optional().describe("Who reports. Absent: `hostname`."),
      contact: text.optional().describe("How else you can be reached: an address or a URL, for the report."),
      inbox: list(mailbox, "a list of addresses")
        .prefault([])
        .describe("Addresses that reports of others come to; they are read as they pass, for `postrider reports`, and delivered as ever."),
    })
    .describe("What is told to others about mail in their name, and what they tell. It needs `authentication.check`."),
  limits: z
    .strictObject({
      message_size: size.prefault(35_882_577).describe("Octets of a message's content; announced as SIZE."),
      recipients: whole(1, 100_000).prefault(1000).describe("Recipients of one transaction; RFC 5321 4.5.3.1.8 asks for at least 100."),
      deliver_by: duration
        .prefault("0s")
        .describe("The shortest time within which a message may have to be delivered or returned (DELIVERBY with mode R). `0s`: any."),
      received: whole(1, 10_000).prefault(100).describe("Received lines of a message; more is taken for a loop."),
      connections: whole(1, 1_000_000).prefault(10_000).describe("Connections at once."),
      connections_per_address: whole(1, 1_000_000).prefault(200).describe("Connections at once from one address (IPv6: from one /64)."),
      idle_timeout: timeout.prefault("5m").describe("Without a byte from the peer; RFC 5321 4.5.3.2.7 asks for at least 5m."),
      handshake_timeout: timeout.prefault("60s").describe("For a TLS handshake."),
      protocol_errors: whole(1, 10_000).prefault(20).describe("Protocol errors in a session without a message accepted between them."),
      authentication_failures: whole(1, 1000).prefault(5).describe("Failed logins in a session."),
      drain: duration.prefault("8s").describe("How long sessions and deliveries may go on after the signal to stop."),
    })
    .describe("What peers cannot exceed."),
  leniency: z
    .strictObject({
      space_before_path: flag.prefault(true).describe("Takes `MAIL FROM: <a@b>`, with a space."),
      no_brackets: flag.prefault(false).describe("Takes `MAIL FROM:a@b`, without angle brackets."),
      loose_dots: flag.prefault(false).describe("Takes `<a..b@d>` and `<.a@d>`."),
    })
    .describe("Departures from RFC 5321, each by its name."),
  queue: z
    .strictObject({
      store: postgresUrl
        .optional()
        .describe(
          "A PostgreSQL database that keeps queue and accounts for all servers that name it: docs/scale.md. Absent: they are in the data folder, for this server alone.",
        ),
      store_password_file: text
        .optional()
        .describe("File whose first line is the database's password, so that it need not stand in `store`. Relative to this file."),
      store_schema: text.prefault("postrider").describe("The schema of the tables in it; made if missing."),
      store_connections: whole(2, 1000)
        .prefault(8)
        .describe("Connections to it at most, but for a few that accounts and the doorbell take."),
      takeover: timeout
        .prefault("30s")
        .describe("With `store`: a server that has not been heard of for so long loses what it was delivering to the others."),
      minimum_free: size.prefault("100MB").describe("Free space of the data folder's disk below which nothing is accepted (452 4.3.1)."),
    })
    .describe("Where accepted messages wait."),
  log: z
    .strictObject({
      format: choice("auto", "json", "readable").prefault("auto").describe("`auto` is readable on a terminal, else JSON."),
      level: choice("debug", "info", "warn", "error").prefault("info").describe("The least that is written."),
    })
    .describe("The log, on standard error."),
} as const;

/** Of `[[route]]`. */
export const route = z
  .strictObject({
    domain: domainPattern.describe("Recipients' domains that go this way."),
    from: senderPattern.optional().describe("Only for these senders (MAIL FROM): an address, a domain, or `<>`."),
    to: routeTarget.describe(
      "`mx` looks up the domain's servers. A server: `smtp://`, `smtps://` (TLS from the first byte), `lmtp://` (also a unix socket). `maildir:/var/mail/{domain}/{local}` is a folder here. `discard` forgets; `hold` leaves in the queue.",
    ),
    tls: choice("opportunistic", "required", "none")
      .optional()
      .describe("STARTTLS: where it is offered, always, or never. Absent: where it is offered, and always with a login."),
    verify: flag.optional().describe("Checks the server's certificate. Absent: with a login."),
    user: text.optional().describe("Logs in as. All mechanisms that the server offers are tried, the strongest first."),
    password_file: text.optional().describe("File whose first line is the password. Relative to this file."),
    token_url: webAddress
      .optional()
      .describe("Instead of a password: where access tokens come from (OAuth2, RFC 6749 6), for OAUTHBEARER and XOAUTH2."),
    client_id: text.optional().describe("As whom it is asked."),
    client_secret_file: text.optional().describe("File whose first line is the secret for that, where there is one."),
    refresh_token_file: text.optional().describe("File whose first line is the refresh token."),
  })
  .describe("Where mail goes, by its envelope. The first match wins; without one: `mx`. [docs/routes.md](routes.md).");

/** Of `[[dkim]]`. */
const dkim = z
  .strictObject({
    domain: domain.describe("The domain that signs. Its keys sign for the domains below it too, unless those have keys of their own."),
    selector: domain.describe("Where the public key stands in DNS: `<selector>._domainkey.<domain>`."),
    key: text.describe("PEM file with the private key, as `postrider dkim new` makes it. Relative to this file."),
    canonicalization: choice("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")
      .prefault("relaxed/relaxed")
      .describe("What of header and body may change on the way without breaking the signature (RFC 6376 3.4); `simple` forgives nothing."),
  })
  .describe("Keys that sign what accounts submit, and reports made here. Several of one domain sign all at once. [docs/dkim.md](dkim.md).");

/** Of `[[sender_policy]]`. */
const senderPolicy = z
  .strictObject({
    domain: domain.describe("The domain in From, and those below it unless they have a table of their own."),
    ...checkSettings("optional"),
  })
  .describe("What of `[authentication]` is otherwise for mail from one domain.");

/** Of `[[retry]]`. */
const retry = z
  .strictObject({
    domain: domainPattern.describe("Recipients' domains that this is for. The first match wins."),
    intervals: list(timeout, "a list of durations").optional().describe("Instead of `delivery.retry`."),
    max_age: timeout.optional().describe("Instead of `delivery.max_age`."),
  })
  .describe("When mail for some domains is tried again, where that is other than in `[delivery]`.");

/** Of `[[pacing]]`. */
const pacing = z
  .strictObject({
    name: text.optional().describe("What it is called in `postrider queue destinations` and in the log."),
    mx: list(domainPattern, "a list of names")
      .prefault([])
      .describe("Names of mail exchangers (the preferred ones of a domain), such as `*.example.net`."),
    domains: list(domainPattern, "a list of domains").prefault([]).describe("Recipients' domains."),
    connections: whole(1, 10_000).optional().describe("Connections at once. Instead of `delivery.connections_per_destination`."),
    messages_per_connection: whole(1, 1_000_000).optional().describe("Instead of `delivery.messages_per_connection`."),
    recipients_per_message: whole(1, 10_000).optional().describe("Instead of `delivery.recipients_per_message`."),
    rate: rate.optional().describe("Messages in a time, for all servers that share the queue together. Absent: as fast as they are taken."),
    source_addresses: list(address, "a list of IP addresses").optional().describe("Instead of `delivery.source_addresses`."),
  })
  .describe(
    "How much a receiving side is sent; all that one table matches counts together. The first match wins; behind them come those that are built in for large providers. [docs/delivery.md](delivery.md).",
  );

/** Of `[[forward]]`. */
const forward = z
  .strictObject({
    address: mailbox.describe("An address at a local domain."),
    to: list(mailbox, "a list of addresses").describe("Where its mail goes on to."),
    keep: flag.prefault(false).describe("It also goes where the address's own mail goes."),
  })
  .describe("Mail that goes on to others, with a reverse-path of ours (SRS), so that SPF passes for it there.");

/** Lists of tables: `[[name]]`. */
export const lists = { route, retry, pacing, forward, dkim, sender_policy: senderPolicy } as const;

export type Lists = { [K in keyof typeof lists]: z.output<(typeof lists)[K]> };
export type Tables = { [K in keyof typeof tables]: z.output<(typeof tables)[K]> };
export type General = z.output<typeof general>;
export type RouteTable = z.output<typeof route>;
export type CheckTable = Partial<Omit<Lists["sender_policy"], "domain">>;
