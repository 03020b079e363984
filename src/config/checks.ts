/**
 * What single keys cannot tell: whether the values go together.
 *
 * Rules
 * 1. A check whose values had problems of their own says nothing.
 * 2. What would only show when mail is lost or loops is found here.
 */
import { matchesDomain } from "../delivery/route.ts";
import { domainKey } from "../mail/domain.ts";
import { mailboxKey } from "../mail/mailbox.ts";
import { isLoopback, isUnspecified } from "../net/address.ts";
import { everywhere, type ListenEndpoint, webUrl } from "./kinds.ts";
import type { Problems, ReadTables } from "./parse.ts";

export function check(read: ReadTables, problems: Problems): void {
  checkListen(read, problems);
  checkTls(read, problems);
  checkOauth(read, problems);
  checkCertificates(read, problems);
  checkDomains(read, problems);
  checkRoutes(read, problems);
  checkDelivery(read, problems);
  checkPacing(read, problems);
  checkQueue(read, problems);
  checkAuthentication(read, problems);
  checkDkim(read, problems);
  checkRetries(read, problems);
  checkLogins(read, problems);
  checkForwards(read, problems);
}

function checkAuthentication(read: ReadTables, problems: Problems): void {
  const { seal_domain: domain, seal_selector: selector, seal_key: key } = read.tables.authentication;
  const given = [domain, selector, key].filter((one) => one !== undefined).length;
  if (given === 0 || given === 3 || problems.all.some((problem) => problem.key.startsWith("authentication.seal"))) return;
  problems.conflict("authentication.seal_key", "sealing needs all of seal_domain, seal_selector and seal_key");
}

function checkForwards(read: ReadTables, problems: Problems): void {
  const { local } = read.tables.domains;
  const tables = read.lists.forward ?? [];
  for (const [i, { address, to }] of tables.entries()) {
    if (address === undefined) continue;
    const key = `forward[${i}].address`;
    if (local !== undefined && !local.includes(domainKey(address.domain))) {
      problems.conflict(key, `${address.domain} is not in domains.local: nobody's mail for it is taken in`);
    }
    if (to?.length === 0) problems.conflict(`forward[${i}].to`, "expected at least one address");
    if (tables.findIndex((one) => one.address !== undefined && mailboxKey(one.address) === mailboxKey(address)) < i) {
      problems.conflict(key, "this address has a [[forward]] already: name all of its targets there");
    }
  }
}

function checkLogins(read: ReadTables, problems: Problems): void {
  for (const [i, route] of (read.lists.route ?? []).entries()) {
    const { to, tls, user, password_file: password, token_url: url, client_id: client, refresh_token_file: refresh } = route;
    const key = `route[${i}]`;
    const secrets = [password, url].filter((one) => one !== undefined).length;
    if (to !== undefined && to.kind !== "host" && (user !== undefined || tls !== undefined)) {
      problems.conflict(`${key}.to`, "tls and user are for a server, such as smtp://host:port");
    }
    if (to?.kind === "host" && to.tls !== undefined && tls !== undefined)
      problems.conflict(`${key}.tls`, "the target says already how TLS is used");
    if (user !== undefined && secrets !== 1) problems.conflict(`${key}.user`, "expected either password_file or token_url with it");
    if (user === undefined && secrets > 0) problems.conflict(`${key}.user`, "expected with password_file or token_url");
    if (url !== undefined && (client === undefined || refresh === undefined)) {
      problems.conflict(`${key}.token_url`, "expected client_id and refresh_token_file with it");
    }
    if (user !== undefined && tls === "none") problems.conflict(`${key}.tls`, "a password is not sent without TLS");
  }
}

function checkRetries(read: ReadTables, problems: Problems): void {
  for (const [i, { intervals }] of (read.lists.retry ?? []).entries()) {
    if (intervals?.length === 0) problems.conflict(`retry[${i}].intervals`, "expected at least one duration");
  }
}

function checkDkim(read: ReadTables, problems: Problems): void {
  const tables = read.lists.dkim ?? [];
  for (const [i, { domain, selector, canonicalization }] of tables.entries()) {
    if (domain === undefined || selector === undefined) continue;
    const first = tables.findIndex((one) => one.domain === domain);
    if (tables[first]?.canonicalization !== canonicalization) {
      problems.conflict(`dkim[${i}].canonicalization`, `another than in dkim[${first}]: the keys of a domain sign in one form`);
    }
    const other = tables.findIndex((one) => one.domain === domain && one.selector === selector);
    if (other < i) problems.conflict(`dkim[${i}]`, `the same domain and selector as dkim[${other}]`);
  }
}

function checkQueue(read: ReadTables, problems: Problems): void {
  const { store, store_password_file: file } = read.tables.queue;
  if (file !== undefined && store === undefined && !problems.all.some((problem) => problem.key.startsWith("queue"))) {
    problems.conflict("queue.store_password_file", "there is no queue.store that it could be the password of");
  }
}

interface Named {
  readonly key: string;
  readonly endpoint: ListenEndpoint;
}

function listening(read: ReadTables): readonly Named[] {
  if (!read.present.has("listen")) {
    return [587, 465, 25].flatMap((port) => everywhere(port).map((endpoint) => ({ key: `listen, by default on port ${port}`, endpoint })));
  }
  return Object.entries(read.tables.listen).flatMap(([name, endpoints]) =>
    (endpoints ?? []).flatMap((some, i) => some.map((endpoint) => ({ key: `listen.${name}[${i}]`, endpoint }))),
  );
}

function checkListen(read: ReadTables, problems: Problems): void {
  const all = listening(read);
  for (const [i, one] of all.entries()) {
    const other = all.slice(0, i).find((before) => before.key !== one.key && overlap(before.endpoint, one.endpoint));
    if (other !== undefined) problems.conflict(one.key, `the same address and port as ${other.key}`);
  }
  if (read.present.has("listen") && all.length === 0 && !problems.all.some((problem) => problem.key.startsWith("listen"))) {
    problems.conflict(
      "listen",
      "expected submission, submissions or smtp: nothing would be listened on (without the table, all three are)",
    );
  }
}

function overlap(a: ListenEndpoint, b: ListenEndpoint): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  if (a.host === b.host) return true;
  return a.host.includes(":") === b.host.includes(":") && (isUnspecified(a.host) || isUnspecified(b.host));
}

function checkTls(read: ReadTables, problems: Problems): void {
  const { certificate, key } = read.tables.tls;
  if (!read.present.has("tls") || problems.all.some((problem) => problem.key.startsWith("tls"))) return;
  if (certificate !== undefined && key === undefined)
    problems.conflict("tls.key", "expected the file of the certificate's private key, got nothing");
  if (key !== undefined && certificate === undefined)
    problems.conflict("tls.certificate", "expected the file of the key's certificate, got nothing");
  if (key === undefined && certificate === undefined) {
    problems.conflict("tls", "expected certificate and key, got neither (without the table, a self-signed certificate is made)");
  }
}

function checkOauth({ present, tables }: ReadTables, problems: Problems): void {
  if (!present.has("accounts.oauth") || problems.all.some((problem) => problem.key.startsWith("accounts.oauth"))) return;
  const { issuer, keys, introspection, client_id: id, client_secret_file: secret } = tables["accounts.oauth"];
  if (issuer === undefined)
    problems.conflict("accounts.oauth", 'expected issuer, got none: whose tokens are taken, as their claim "iss" has it');
  if (keys === undefined && introspection === undefined) {
    problems.conflict("accounts.oauth", "expected keys or introspection: without one of them no token can be checked");
  }
  if (keys !== undefined && introspection !== undefined)
    problems.conflict("accounts.oauth.introspection", "expected keys or introspection, got both");
  if (keys !== undefined && /^[a-z][a-z0-9+.-]*:\/\//i.test(keys) && webUrl(keys) === undefined) {
    problems.conflict("accounts.oauth.keys", 'expected an "https://" URL ("http://" only to this machine) or the path of a file');
  }
  if (introspection !== undefined && (id === undefined || secret === undefined)) {
    problems.conflict(
      "accounts.oauth.introspection",
      "expected client_id and client_secret_file beside it: the issuer answers only whom it knows",
    );
  }
}

function checkCertificates({ present, tables }: ReadTables, problems: Problems): void {
  if (!present.has("accounts.certificates") || problems.all.some((problem) => problem.key.startsWith("accounts.certificates"))) return;
  if (tables["accounts.certificates"].authorities === undefined) {
    problems.conflict("accounts.certificates", "expected authorities: a PEM file of those who may issue certificates to log in with");
  }
}

function checkDomains(read: ReadTables, problems: Problems): void {
  const { local, recipients } = read.tables.domains;
  for (const [i, one] of (recipients ?? []).entries()) {
    if (local !== undefined && !local.includes(one.domain))
      problems.conflict(`domains.recipients[${i}]`, `${one.domain} is not in domains.local`);
  }
  if (read.tables.domains.postmaster?.domain === "") problems.conflict("domains.postmaster", "expected an address with a domain");
}

function checkRoutes(read: ReadTables, problems: Problems): void {
  const { route: routes } = read.lists;
  if (routes === undefined) return;
  const own = listening(read);
  for (const [i, { to }] of routes.entries()) {
    if (to?.kind !== "host") continue;
    const reached = own.find(({ endpoint }) => endpoint.port === to.port && reaches(to.host, endpoint.host));
    if (reached !== undefined)
      problems.conflict(`route[${i}].to`, `leads to this server itself (${reached.key}): mail would go in a circle`);
  }
  // A route whose domain cannot be read may have been meant for any of them.
  if (routes.some((route) => route.domain === undefined)) return;
  for (const [i, domain] of (read.tables.domains.local ?? []).entries()) {
    if (routes.some((route) => route.domain !== undefined && matchesDomain(route.domain, domain))) continue;
    problems.conflict(
      `domains.local[${i}]`,
      `expected a [[route]] for ${domain} that says where its mail goes: the default, its MX, would lead back to this server`,
    );
  }
}

function reaches(host: string, listening: string): boolean {
  if (host === listening || (host === "localhost" && isLoopback(listening))) return true;
  return isUnspecified(listening) && (host === "localhost" || (isLoopback(host) && host.includes(":") === listening.includes(":")));
}

function checkDelivery(read: ReadTables, problems: Problems): void {
  const { source_addresses: sources = [], families, retry } = read.tables.delivery;
  for (const [i, address] of sources.entries()) {
    const six = address.includes(":");
    const key = `delivery.source_addresses[${i}]`;
    if (sources.indexOf(address) !== i) problems.conflict(key, "is named twice");
    if (isUnspecified(address)) problems.conflict(key, "expected an address of this machine: leave it out to let the system choose");
    if (families === (six ? "ipv4" : "ipv6")) problems.conflict(key, `is never used: delivery.families is "${families}"`);
  }
  if (retry !== undefined && retry.length === 0) problems.conflict("delivery.retry", "expected at least one duration");
  const { back_off: first, longest_back_off: longest } = read.tables.delivery;
  if (first !== undefined && longest !== undefined && longest < first)
    problems.conflict("delivery.longest_back_off", "expected at least delivery.back_off");
}

function checkPacing(read: ReadTables, problems: Problems): void {
  for (const [i, { mx, domains }] of (read.lists.pacing ?? []).entries()) {
    if (mx === undefined || domains === undefined) continue;
    if (mx.length + domains.length === 0) problems.conflict(`pacing[${i}]`, "expected mx or domains: what it is for");
    // One table's patience is one for all that it matches.
    if ([...mx, ...domains].some(({ kind }) => kind === "any"))
      problems.conflict(`pacing[${i}]`, '"*" would count all destinations together: what holds for each of them is set in [delivery]');
  }
}
