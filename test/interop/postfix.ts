/**
 * Postfix, installed or only unpacked, on a high port in a throw-away folder: a next hop, and a client of ours.
 *
 * Rules
 * 1. It uses nothing of the system's Postfix: configuration, queue and data are in the folder; its log is there too.
 * 2. `master` is run as it is: `postfix start` would want to own the system's folders.
 * 3. It runs as a user that every Debian has, so that none has to be made.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { selfSignedCertificate } from "../../src/net/certificate.ts";
import { type Child, collect, findProgram, start } from "../support/programs.ts";
import { type Cleanup, tempFolder } from "../support/temp-folder.ts";
import { type Maildirs, makeMaildirs } from "./maildir.ts";
import { accountIds, groupId, type OtherServer, type OtherServerOptions, reachable } from "./other-server.ts";

/** Neither may be the user or group of anything else that Postfix runs. */
export const OWNER = "news";
export const GROUP = "games";

const queueFolders = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];

export async function startPostfix(t: Cleanup, options: OtherServerOptions): Promise<OtherServer> {
  const root = postfixRoot();
  const folder = tempFolder(t, "postrider-postfix-");
  chmodSync(folder, 0o755);
  let log = (): string => "";
  const mail = makeMaildirs(t, { folder: join(folder, "mail"), users: options.users, ...accountIds(OWNER), log: () => log() });
  makeFolders(folder);
  const { certificate, key } = selfSignedCertificate({ names: [options.hostname] });
  writeFileSync(join(folder, "certificate.pem"), certificate);
  writeFileSync(join(folder, "key.pem"), key, { mode: 0o600 });
  writeFileSync(join(folder, "log"), "");
  writeFileSync(join(folder, "main.cf"), mainCf(root, folder, mail, options));
  writeFileSync(join(folder, "master.cf"), masterCf([`${options.address}:${options.port} inet n - n - - smtpd`]));
  const { port, user, password } = options.submitTo;
  writeFileSync(join(folder, "passwords"), `[127.0.0.1]:${port} ${user}:${password}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "transport"), `${options.relayTo.domain} smtp:[127.0.0.1]:${options.relayTo.port}\n`);
  const recipients = options.users.map((name) => `${name}@${options.domain} ${name}/\n`);
  writeFileSync(join(folder, "mailboxes"), recipients.join(""));
  const running = startMaster(t, root, folder);
  log = running.log;
  await reachable(options.address, options.port, running.child, log);
  return { mail };
}

/** What "usr" and "etc" of Postfix lie below. */
export function postfixRoot(): string {
  return dirname(dirname(dirname(findProgram("postfix") as string)));
}

/** Runs what is configured in the folder; `log` is all that it has said. */
export function startMaster(t: Cleanup, root: string, folder: string): { readonly child: Child; log(): string } {
  const child = start(t, join(root, "usr/lib/postfix/sbin/master"), ["-s", "-c", folder], {
    env: { MAIL_CONFIG: folder, LD_LIBRARY_PATH: join(root, "usr/lib/postfix") },
  });
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  return { child, log: () => err() + out() + readFileSync(join(folder, "log"), "utf8") };
}

/** The folders that `postfix start` would make. */
export function makeFolders(folder: string): void {
  const owner = accountIds(OWNER).uid;
  const group = groupId(GROUP);
  const make = (name: string, mode: number, uid: number, gid: number): void => {
    const path = join(folder, name);
    mkdirSync(path);
    chownSync(path, uid, gid);
    chmodSync(path, mode);
  };
  make("queue", 0o755, 0, 0);
  make("data", 0o700, owner, 0);
  for (const name of queueFolders) make(`queue/${name}`, 0o700, owner, 0);
  make("queue/pid", 0o755, 0, 0);
  make("queue/public", 0o2710, owner, group);
  make("queue/maildrop", 0o1730, owner, group);
}

/** What holds for any Postfix here: where it lies, as whom it runs, and that it looks at nothing outside. */
export function baseMainCf(root: string, folder: string, hostname: string): string {
  return `compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
daemon_directory = ${root}/usr/lib/postfix/sbin
command_directory = ${root}/usr/sbin
shlib_directory = ${root}/usr/lib/postfix
meta_directory = ${root}/etc/postfix
mail_owner = ${OWNER}
setgid_group = ${GROUP}
import_environment = MAIL_CONFIG LD_LIBRARY_PATH TZ LANG=C
maillog_file_prefixes = ${folder}
maillog_file = ${folder}/log
myhostname = ${hostname}
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
smtpd_peername_lookup = no
disable_dns_lookups = yes
alias_maps =
alias_database =
local_recipient_maps =
biff = no
smtputf8_enable = yes
smtpd_tls_cert_file = ${folder}/certificate.pem
smtpd_tls_key_file = ${folder}/key.pem
smtpd_tls_received_header = yes
smtpd_client_connection_rate_limit = 0
`;
}

/** Mailboxes in Maildir form: `mailboxes` in the folder names them. */
export function mailboxMainCf(folder: string, mail: Maildirs, domain: string): string {
  const { uid, gid } = accountIds(OWNER);
  return `virtual_mailbox_domains = ${domain}
virtual_mailbox_base = ${mail.folder}
virtual_mailbox_maps = texthash:${folder}/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:${uid}
virtual_gid_maps = static:${gid}
virtual_mailbox_limit = 0
`;
}

function mainCf(root: string, folder: string, mail: Maildirs, options: OtherServerOptions): string {
  return `${baseMainCf(root, folder, options.hostname)}
${mailboxMainCf(folder, mail, options.domain)}
mynetworks = 127.0.0.0/8
smtp_bind_address = ${options.address}
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_tls_security_level = may
relayhost = [127.0.0.1]:${options.submitTo.port}
transport_maps = texthash:${folder}/transport
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = localhost
smtp_tls_CAfile = ${options.submitTo.certificate}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:${folder}/passwords
smtp_sasl_security_options = noanonymous
`;
}

/** The listeners, and the services that it takes to receive, deliver, relay and report; nothing in a chroot. */
export function masterCf(listeners: readonly string[]): string {
  const services = [
    ...listeners,
    "cleanup unix n - n - 0 cleanup",
    "qmgr unix n - n 300 1 qmgr",
    "pickup unix n - n 60 1 pickup",
    "rewrite unix - - n - - trivial-rewrite",
    "bounce unix - - n - 0 bounce",
    "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce",
    "verify unix - - n - 1 verify",
    "flush unix n - n 1000? 0 flush",
    "proxymap unix - - n - - proxymap",
    "proxywrite unix - - n - 1 proxymap",
    "smtp unix - - n - - smtp",
    "relay unix - - n - - smtp",
    "error unix - - n - - error",
    "retry unix - - n - - error",
    "discard unix - - n - - discard",
    "virtual unix - n n - - virtual",
    "anvil unix - - n - 1 anvil",
    "scache unix - - n - 1 scache",
    "tlsmgr unix - - n 1000? 1 tlsmgr",
    "postlog unix-dgram n - n - 1 postlogd",
  ];
  return `${services.join("\n")}\n`;
}
