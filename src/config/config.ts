/**
 * From the text of a configuration to its settings (settings.ts).
 *
 * Rules
 * 1. It is whole or not there: with any problem there is no Config.
 * 2. `parseConfig` is pure but for the machine's name, which it is given.
 */
import { resolve } from "node:path";
import { type CheckSettings, defaultCheckSettings } from "../authentication/index.ts";
import type { PacingRule } from "../delivery/pacing.ts";
import type { Route } from "../delivery/route.ts";
import { isDomain } from "../mail/domain.ts";
import type { ListenerKind } from "../mail/event.ts";
import { mailboxKey } from "../mail/mailbox.ts";
import type { ReportOptions } from "../relay/reports/reporting.ts";
import type { SuppressionSettings } from "../relay/suppressing.ts";
import type { ServerOptions } from "../server/options.ts";
import { check } from "./checks.ts";
import { everywhere, webUrl } from "./kinds.ts";
import { type ReadTables, readText } from "./parse.ts";
import type { ConfigProblem } from "./problem.ts";
import type { CheckTable, Lists, RouteTable, Tables } from "./schema.ts";
import type {
  CertificateSetting,
  ChecksSetting,
  Config,
  ListenSetting,
  LoginSetting,
  OauthSetting,
  SharedStoreSetting,
  SigningSetting,
  TlsSetting,
} from "./settings.ts";

export type ConfigResult =
  | { readonly kind: "ok"; readonly config: Config }
  /** `tls` where that table itself could be read: its files can be looked at all the same. */
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[]; readonly tls?: TlsSetting };

export interface ParseOptions {
  /** The folder that paths in the file are relative to. */
  readonly folder: string;
  /** The machine's own name, taken where the file names none. */
  readonly machineName?: string;
}

/** Reads the text of a configuration; all its problems are told at once. */
export function parseConfig(text: string, options: ParseOptions): ConfigResult {
  const outcome = readText(text);
  if ("syntax" in outcome) return { kind: "invalid", problems: [outcome.syntax] };
  const { read, problems } = outcome;
  const hostname = read.general.hostname ?? machineName(options);
  if (hostname === undefined && !problems.all.some((problem) => problem.key === "hostname")) {
    const why = options.machineName === undefined ? "" : ` (this machine calls itself ${JSON.stringify(options.machineName)})`;
    problems.conflict("hostname", `expected this server's full domain name, such as "mail.example.test", got nothing${why}`);
  }
  check(read, problems);
  if (problems.all.length > 0 || hostname === undefined) {
    const readable = !problems.all.some((problem) => problem.key.startsWith("tls"));
    return { kind: "invalid", problems: problems.all, ...(readable ? { tls: tlsSetting(read.tables.tls, options.folder) } : {}) };
  }
  return { kind: "ok", config: build(read, hostname, options.folder) };
}

/** Only a full name will do: a greeting as "localhost" or "box" is refused by many. */
function machineName({ machineName: name }: ParseOptions): string | undefined {
  return name !== undefined && isDomain(name) && name.includes(".") && !name.startsWith("localhost.") ? name.toLowerCase() : undefined;
}

/** Every key is there once no problem was found; the casts rest on that alone. */
function build(read: ReadTables, hostname: string, folder: string): Config {
  const tables = read.tables as Tables;
  const { domains, dns, delivery, limits } = tables;
  const routes = (read.lists.route ?? []) as readonly RouteTable[];
  const forwards = (read.lists.forward ?? []) as readonly Lists["forward"][];
  return {
    hostname,
    data: resolve(folder, read.general.data as string),
    listen: listenSettings(read),
    tls: tlsSetting(tables.tls, folder),
    oauth: read.present.has("accounts.oauth") ? oauthSetting(tables["accounts.oauth"], folder) : undefined,
    clientCertificates: certificateSetting(tables["accounts.certificates"], folder),
    domains: {
      local: new Set(domains.local),
      recipients: new Set([
        ...domains.recipients.flatMap((one) => (one.kind === "mailbox" ? [one.key] : [])),
        ...forwards.map(({ address }) => mailboxKey(address)),
      ]),
      anyRecipient: new Set(domains.recipients.flatMap((one) => (one.kind === "domain" ? [one.domain] : []))),
      postmaster: domains.postmaster,
    },
    dns: { ...(dns.servers === undefined ? {} : { servers: dns.servers }), timeout: dns.timeout },
    delivery: {
      port: delivery.port,
      hostname: delivery.hostname ?? hostname,
      sources: delivery.source_addresses,
      backOff: { first: delivery.back_off, longest: delivery.longest_back_off },
      pacing: ((read.lists.pacing ?? []) as readonly Lists["pacing"][]).map(pacingRule),
      families: delivery.families,
      concurrency: delivery.concurrency,
      connectionsPerDestination: delivery.connections_per_destination,
      messagesPerConnection: delivery.messages_per_connection,
      recipientsPerMessage: delivery.recipients_per_message,
      connectTimeout: delivery.connect_timeout,
      keepConnection: delivery.keep_connection,
      retry: delivery.retry,
      maxAge: delivery.max_age,
      reportMaxAge: delivery.report_max_age,
      delayNotice: delivery.delay_notice,
      retryOf: (read.lists.retry ?? []) as readonly Lists["retry"][],
    },
    forwards: new Map(forwards.map(({ address, to, keep }) => [mailboxKey(address), { to, keep }])),
    srsDomain: domains.srs,
    routes: routes.map(routeSetting),
    logins: routes.map((table) => loginSetting(table, folder)),
    submissionFrom: tables.submission.from,
    checks: tables.authentication.check
      ? checksSetting(tables.authentication, (read.lists.sender_policy ?? []) as readonly Lists["sender_policy"][], folder)
      : undefined,
    reports: reportsSetting(tables.reports, hostname, [...domains.local][0]),
    dkim: ((read.lists.dkim ?? []) as readonly Lists["dkim"][]).map((table) => signingSetting(table, folder)),
    suppression: suppressionSetting(tables.suppression),
    server: serverOptions(tables, hostname),
    queue: { minimumFree: tables.queue.minimum_free, shared: sharedStore(tables.queue, folder) },
    log: tables.log,
    drain: limits.drain,
  };
}

function serverOptions({ limits, submission, smtp, leniency }: Tables, hostname: string): ServerOptions {
  return {
    hostname,
    maxSize: limits.message_size,
    maxRecipients: limits.recipients,
    maxErrors: limits.protocol_errors,
    maxAuthenticationFailures: limits.authentication_failures,
    maxReceived: limits.received,
    maxConnections: limits.connections,
    maxConnectionsPerAddress: limits.connections_per_address,
    idleTimeout: limits.idle_timeout,
    handshakeTimeout: limits.handshake_timeout,
    greetingDelay: smtp.greeting_delay,
    hideSubmitter: submission.hide_client,
    maxHold: submission.max_hold,
    maxPriority: submission.max_priority,
    minDeliverBy: Math.ceil(limits.deliver_by / 1000),
    bareLineEnds: { submission: submission.bare_line_ends, smtp: smtp.bare_line_ends },
    leniencies: { spaceBeforePath: leniency.space_before_path, noBrackets: leniency.no_brackets, looseDots: leniency.loose_dots },
  };
}

const listenerKinds = ["submission", "submissions", "smtp"] as const satisfies readonly ListenerKind[];

const defaultPorts: Readonly<Record<ListenerKind, number>> = { submission: 587, submissions: 465, smtp: 25 };

/** No table is the three ports everywhere, a key left out of the table is off. */
function listenSettings({ present, tables }: ReadTables): readonly ListenSetting[] {
  return listenerKinds.flatMap((kind) => {
    const endpoints = present.has("listen") ? (tables.listen[kind] ?? []).flat() : everywhere(defaultPorts[kind]);
    return endpoints.map((endpoint) => ({ kind, endpoint }));
  });
}

function tlsSetting({ certificate, key }: Tables["tls"], folder: string): TlsSetting {
  if (certificate === undefined || key === undefined) return { kind: "self-signed" };
  return { kind: "files", certificate: resolve(folder, certificate), key: resolve(folder, key) };
}

function oauthSetting(table: Tables["accounts.oauth"], folder: string): OauthSetting {
  const {
    issuer,
    audience,
    account_claim: claim,
    algorithms,
    keys = "",
    introspection,
    client_id: clientId,
    client_secret_file: file,
  } = table;
  const by: OauthSetting["by"] =
    introspection === undefined
      ? { kind: "keys", keys: webUrl(keys) ?? resolve(folder, keys) }
      : { kind: "introspection", url: introspection, clientId: clientId as string, clientSecretFile: resolve(folder, file as string) };
  return { issuer: issuer as string, audience, claim, algorithms, by };
}

function certificateSetting({ authorities, account }: Tables["accounts.certificates"], folder: string): CertificateSetting | undefined {
  return authorities === undefined ? undefined : { authorities: resolve(folder, authorities), account };
}

function routeSetting({ domain, from, to, tls, verify, user }: RouteTable): Route {
  const match = from === undefined ? { domain } : { domain, from };
  if (to.kind !== "host") return { ...match, to };
  const mode = to.tls ?? tls ?? (user === undefined ? undefined : "required");
  return { ...match, to: { ...to, ...(mode === undefined ? {} : { tls: mode }), ...(verify === undefined ? {} : { verify }) } };
}

function loginSetting(table: RouteTable, folder: string): LoginSetting | undefined {
  const {
    user,
    password_file: passwordFile,
    token_url: url,
    client_id: clientId,
    client_secret_file: secret,
    refresh_token_file: refresh,
  } = table;
  if (user === undefined) return undefined;
  const path = (file: string | undefined): string | undefined => (file === undefined ? undefined : resolve(folder, file));
  const token =
    url === undefined || clientId === undefined || refresh === undefined
      ? undefined
      : { url: url.href, clientId, clientSecretFile: path(secret), refreshTokenFile: resolve(folder, refresh) };
  return { user, passwordFile: path(passwordFile), token };
}

function signingSetting({ domain, selector, key, canonicalization }: Lists["dkim"], folder: string): SigningSetting {
  const [headerForm, bodyForm] = canonicalization.split("/") as ["relaxed" | "simple", "relaxed" | "simple"];
  return { domain, selector, key: resolve(folder, key), headerForm, bodyForm };
}

function checksSetting(table: Tables["authentication"], policies: readonly Lists["sender_policy"][], folder: string): ChecksSetting {
  const { block_lists: blockLists, exempt, timeout, seal_domain: domain, seal_selector: selector, seal_key: key } = table;
  const domains = new Map(policies.map(({ domain: of, ...settings }) => [of, checkSettings(settings)]));
  const seal =
    domain === undefined || selector === undefined || key === undefined ? undefined : { domain, selector, key: resolve(folder, key) };
  return { settings: { defaults: { ...defaultCheckSettings, ...checkSettings(table) }, domains }, blockLists, exempt, timeout, seal };
}

function reportsSetting(table: Tables["reports"], hostname: string, home: string | undefined): ReportOptions | undefined {
  const { aggregate, failures, contact, inbox } = table;
  if (!aggregate && !failures && inbox.length === 0) return undefined;
  return {
    aggregate,
    failures,
    organization: table.organization ?? hostname,
    ...(contact === undefined ? {} : { contact }),
    from: table.from ?? { localPart: "postmaster", domain: home ?? hostname },
    inbox: new Set(inbox.map(mailboxKey)),
  };
}

function suppressionSetting({ accounts, for: time, answer }: Tables["suppression"]): SuppressionSettings | undefined {
  if (accounts.length === 0) return undefined;
  return { accounts: accounts.includes("*") ? "all" : new Set(accounts), for: time, answer };
}

function checkSettings(table: CheckTable): Partial<CheckSettings> {
  const settings = {
    mode: table.mode,
    onReject: table.on_reject,
    agreement: table.agreement,
    onQuarantine: table.on_quarantine,
    onSpfFail: table.on_spf_fail,
    onMalformedAuthor: table.on_malformed_from,
    onDnsFailure: table.on_dns_failure,
    trustedSealers: table.trusted_sealers === undefined ? undefined : new Set(table.trusted_sealers),
  };
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

function sharedStore(queue: Tables["queue"], folder: string): SharedStoreSetting | undefined {
  const { store: url, store_password_file: file, store_schema: schema, store_connections: connections, takeover: lease } = queue;
  if (url === undefined) return undefined;
  return { url, passwordFile: file === undefined ? undefined : resolve(folder, file), schema, connections, lease };
}

function pacingRule(table: Lists["pacing"], i: number): PacingRule {
  const {
    name = `pacing[${i}]`,
    mx,
    domains,
    connections,
    messages_per_connection: messages,
    recipients_per_message: recipients,
    rate,
    source_addresses,
  } = table;
  return {
    name,
    mx,
    domains,
    ...(connections === undefined ? {} : { maxConnections: connections }),
    ...(messages === undefined ? {} : { maxMessagesPerConnection: messages }),
    ...(recipients === undefined ? {} : { maxRecipients: recipients }),
    ...(rate === undefined ? {} : { rate }),
    ...(source_addresses === undefined ? {} : { sources: source_addresses }),
  };
}
